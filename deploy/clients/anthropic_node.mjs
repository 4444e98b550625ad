// Anthropic's client for Node.
import Anthropic from "@anthropic-ai/sdk";
import { checks, DESCRIPTION, HELLO, key, model, PARAMETERS, url, WEATHER } from "./checks.mjs";

const client = new Anthropic({ baseURL: url.replace(/\/v1$/, ""), apiKey: key }), check = checks("@anthropic-ai/sdk");
const [hello, weather] = [HELLO, WEATHER].map((content) => [{ role: "user", content }]);
const tools = [{ name: "get_weather", description: DESCRIPTION, input_schema: PARAMETERS }];
const asked = { model, max_tokens: 200 };
const said = ({ content }) => {
  const calls = content.filter((block) => block.type === "tool_use").map((block) => block.input);
  return calls.length ? calls : content.filter((block) => block.type === "text").map((block) => block.text).join("");
};

await check("message", async () => said(await client.messages.create({ ...asked, messages: hello })));
await check("message streamed", async () => said(await client.messages.stream({ ...asked, messages: hello }).finalMessage()));
await check("message tool", async () => said(await client.messages.create({ ...asked, messages: weather, tools })));
await check("message tool streamed", async () =>
  said(await client.messages.stream({ ...asked, messages: weather, tools }).finalMessage()));
await check("count of tokens", async () => {
  try {
    return (await client.messages.countTokens({ model, messages: hello })).input_tokens;
  } catch (error) {
    if (error.status !== 404) throw error; // only servers that speak Anthropic's API count
    return error.message;
  }
});
