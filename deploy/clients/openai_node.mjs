// OpenAI's client for Node: chats, responses and embeddings.
import OpenAI from "openai";
import { checks, DESCRIPTION, embedding, HELLO, key, model, PARAMETERS, url, WEATHER } from "./checks.mjs";

const client = new OpenAI({ baseURL: url, apiKey: key }), check = checks("openai");
const [hello, weather] = [HELLO, WEATHER].map((content) => [{ role: "user", content }]);
const named = { name: "get_weather", description: DESCRIPTION, parameters: PARAMETERS };
const tools = [{ type: "function", function: named }], flat = [{ type: "function", ...named }];
const create = (more) => client.chat.completions.create({ model, ...more });

async function streamed(more) {
  let text = "", calls = "";
  for await (const part of await create({ stream: true, ...more })) {
    text += part.choices[0]?.delta?.content ?? "";
    for (const call of part.choices[0]?.delta?.tool_calls ?? []) calls += call.function?.arguments ?? "";
  }
  return calls || text;
}

async function responses(more) {
  let text = "", calls = "";
  for await (const event of await client.responses.create({ model, stream: true, ...more })) {
    if (event.type === "response.output_text.delta") text += event.delta;
    if (event.type === "response.function_call_arguments.done") calls += event.arguments;
  }
  return calls || text;
}

await check("chat", async () => (await create({ messages: hello })).choices[0].message.content);
await check("chat streamed", () => streamed({ messages: hello }));
await check("chat tool", async () => (await create({ messages: weather, tools })).choices[0].message.tool_calls);
await check("chat tool streamed", () => streamed({ messages: weather, tools }));
await check("response", async () => (await client.responses.create({ model, input: HELLO })).output_text);
await check("response streamed", () => responses({ input: HELLO }));
await check("response tool", async () =>
  (await client.responses.create({ model, input: WEATHER, tools: flat })).output.filter((item) => item.type === "function_call"));
await check("response tool streamed", () => responses({ input: WEATHER, tools: flat }));
if (embedding)
  await check("embeddings", async () =>
    (await client.embeddings.create({ model: embedding, input: [HELLO, WEATHER] })).data[1].embedding.slice(0, 2));
