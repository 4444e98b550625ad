// Vercel's AI SDK: its default provider, which asks for responses, and its chats.
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { checks, DESCRIPTION, embedding, HELLO, key, model, PARAMETERS, url, WEATHER } from "./checks.mjs";

const openai = createOpenAI({ baseURL: url, apiKey: key });
const asked = [];
const tools = {
  get_weather: tool({
    description: DESCRIPTION,
    inputSchema: jsonSchema(PARAMETERS),
    execute: async ({ city }) => (asked.push(city), "It is raining."),
  }),
};

async function streamed(more) {
  let text = "", failed;
  const result = streamText({ maxRetries: 0, onError: ({ error }) => (failed = error), ...more });
  for await (const part of result.textStream) text += part;
  if (failed) throw failed;
  return text;
}

async function called(ask) {
  asked.length = 0;
  return [await ask(), ...asked];
}

for (const [name, chosen] of [["default", openai(model)], ["chat", openai.chat(model)]]) {
  const check = checks("ai", "ai"), stopWhen = stepCountIs(3);
  const generated = async (more) => (await generateText({ model: chosen, maxRetries: 0, ...more })).text;
  await check(`${name} provider: text`, () => generated({ prompt: HELLO }));
  await check(`${name} provider: text streamed`, () => streamed({ model: chosen, prompt: HELLO }));
  await check(`${name} provider: tool and answer`, () => called(() => generated({ prompt: WEATHER, tools, stopWhen })));
  await check(`${name} provider: tool and answer streamed`, () =>
    called(() => streamed({ model: chosen, prompt: WEATHER, tools, stopWhen })));
  if (embedding && name === "default")
    await check("embeddings", async () =>
      (await embedMany({ model: openai.embeddingModel(embedding), values: [HELLO, WEATHER], maxRetries: 0 })).embeddings[1].slice(0, 2));
}
