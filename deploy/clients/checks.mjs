// What the clients for Node are asked, and one line for each answer. Run by deploy/clients.sh.
import { readFileSync } from "node:fs";

export const [url, model, key, embedding] = process.argv.slice(2);
export const [HELLO, WEATHER, CITY] = ["Say hello.", "What is the weather in Oslo?", "Oslo"];
export const DESCRIPTION = "Get the current weather in a city.";
export const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

export function checks(name, module = name) {
  const { version } = JSON.parse(readFileSync(`node_modules/${module}/package.json`, "utf-8"));
  return async (what, ask) => {
    let good = false, told;
    try {
      const answer = await ask();
      told = JSON.stringify(answer);
      if (what === "embeddings" && !answer.some(Boolean)) throw new Error("all is 0");
      good = Boolean(answer) && answer.length !== 0 && (!what.includes("tool") || told.includes(CITY));
      told = told.slice(0, 120);
    } catch (error) {
      told = String(error).replaceAll("\n", " ").slice(0, 500);
    }
    if (!good) process.exitCode = 1;
    console.log(`${good ? "ok    " : "FAILED"}  ${name} ${version} (Node): ${what}: ${told}`);
  };
}
