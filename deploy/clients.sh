#!/bin/sh
# Shows that clients work unchanged against a running gateway: OpenAI's Node client, simonw/llm and Inspect.
#   deploy/clients.sh http://127.0.0.1:8484/v1 MODEL [KEY]
# Needs node with npm, and python3; installs the clients into a temporary folder of its own.
set -eu
URL=$1 MODEL=$2 KEY=${3:-unused}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"

npm install --silent --no-fund --no-audit openai >/dev/null
cat > chat.mjs <<'JS'
import OpenAI from "openai";
const [url, model, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey });
const messages = [{ role: "user", content: "hi" }];
const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
console.log("node:", data.choices[0].message.content, "| served by", response.headers.get("x-selfopt-model"));
let text = "";
for await (const part of await client.chat.completions.create({ model, messages, stream: true }))
  text += part.choices[0]?.delta?.content ?? "";
console.log("node, streamed:", text);
JS
node chat.mjs "$URL" "$MODEL" "$KEY"

python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check llm inspect-ai openai
export LLM_USER_PATH="$WORK/llm"
mkdir "$LLM_USER_PATH"
cat > "$LLM_USER_PATH/extra-openai-models.yaml" <<YAML
- model_id: gateway
  model_name: $MODEL
  api_base: $URL
  api_key_name: gateway
YAML
echo "llm: $(env/bin/llm -m gateway --key "$KEY" --no-stream hi)"
echo "llm, streamed: $(env/bin/llm -m gateway --key "$KEY" hi)"

cat > task.py <<'PY'
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def hello():
    return Task(dataset=[Sample(input="hi", target="")], solver=generate(), scorer=includes())
PY
GATEWAY_BASE_URL=$URL GATEWAY_API_KEY=$KEY env/bin/inspect eval task.py --model "openai-api/gateway/$MODEL" \
  --display plain --log-dir logs >inspect.txt 2>&1 || { cat inspect.txt; exit 1; }
env/bin/python - <<'PY'
from inspect_ai.log import list_eval_logs, read_eval_log
log = read_eval_log(list_eval_logs("logs")[0])
assert log.status == "success", log.error
print("inspect:", log.samples[0].output.completion)
PY
