#!/bin/sh
# Shows that clients work unchanged against a running gateway, a line for each thing that is asked: whole, streamed,
# and with a tool. Ends with 1 if anything failed.
#   deploy/clients.sh http://127.0.0.1:8484/v1 MODEL [KEY]
#   EMBEDDING=MODEL deploy/clients.sh ...              # asks for embeddings as well
#   CLIENTS="openai_python ai_sdk" deploy/clients.sh ...   # only these
# MODEL has to call the tool get_weather when it is asked about the weather in Oslo.
# Needs node with npm, and python3; installs the clients into a temporary folder of its own, or into FOLDER if that is set.
set -u
URL=$1 MODEL=$2 KEY=${3:-unused}
EMBEDDING=${EMBEDDING:-}
CLIENTS=${CLIENTS:-openai_python openai_node anthropic_python anthropic_node ai_sdk langchain_client pydantic_ai_client litellm_client llm inspect_task}
HERE=$(cd "$(dirname "$0")/clients" && pwd)
if [ -n "${FOLDER:-}" ]; then
  WORK=$FOLDER
  mkdir -p "$WORK"
else
  WORK=$(mktemp -d)
  trap 'rm -rf "$WORK"' EXIT
fi
cd "$WORK" || exit 1
cp "$HERE"/*.mjs "$HERE"/*.py .
FAILED=0
export LITELLM_LOCAL_MODEL_COST_MAP=True AI_SDK_LOG_WARNINGS=false

wants() { case " $CLIENTS " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
# Prints whether what a command says holds a text: said NAME TEXT COMMAND...
said() {
  name=$1 text=$2
  shift 2
  if answer=$("$@" 2>&1) && [ -n "$answer" ] && printf '%s' "$answer" | grep -q -- "$text"; then
    echo "ok      $name: $(printf '%s' "$answer" | tr '\n' ' ' | cut -c 1-120)"
  else
    echo "FAILED  $name: $(printf '%s' "$answer" | tail -n 3 | tr '\n' ' ' | cut -c 1-500)"
    FAILED=1
  fi
}

if wants openai_node || wants anthropic_node || wants ai_sdk; then
  npm install --silent --no-fund --no-audit openai @anthropic-ai/sdk ai @ai-sdk/openai >npm.log 2>&1 || { cat npm.log; exit 1; }
fi
[ -x env/bin/python ] || python3 -m venv env || exit 1
env/bin/python -m pip install --quiet --disable-pip-version-check openai anthropic langchain-openai langchain-anthropic \
  'pydantic-ai-slim[openai,anthropic]' litellm llm inspect-ai || exit 1

for client in $CLIENTS; do
  case $client in
    llm | inspect_task) ;;
    *_node | ai_sdk) node "$client.mjs" "$URL" "$MODEL" "$KEY" "$EMBEDDING" || FAILED=1 ;;
    *) env/bin/python "$client.py" "$URL" "$MODEL" "$KEY" "$EMBEDDING" || FAILED=1 ;;
  esac
done

if wants llm; then
  export LLM_USER_PATH="$WORK/llm"
  mkdir -p "$LLM_USER_PATH"
  cat >"$LLM_USER_PATH/extra-openai-models.yaml" <<YAML
- model_id: gateway
  model_name: $MODEL
  api_base: $URL
  api_key_name: gateway
  supports_tools: true
YAML
  cat >weather.py <<'PY'
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return "It is raining."
PY
  LLM="env/bin/llm -m gateway --key $KEY" VERSION=$(env/bin/llm --version | sed 's/.* //')
  said "llm $VERSION: chat" . $LLM --no-stream 'Say hello.'
  said "llm $VERSION: chat streamed" . $LLM 'Say hello.'
  said "llm $VERSION: tool and answer" 'Oslo' $LLM --no-stream --functions weather.py --td 'What is the weather in Oslo?'
  said "llm $VERSION: tool and answer streamed" 'Oslo' $LLM --functions weather.py --td 'What is the weather in Oslo?'
fi
if wants inspect_task; then
  export GATEWAY_BASE_URL=$URL GATEWAY_API_KEY=$KEY
  for stream in false true; do
    rm -rf logs
    env/bin/inspect eval inspect_task.py --model "openai-api/gateway/$MODEL" -M stream=$stream --display plain --log-dir logs \
      >inspect.txt 2>&1 || tail -n 5 inspect.txt
    env/bin/python inspect_task.py "$URL" "$MODEL" "$KEY" "$EMBEDDING" logs || FAILED=1
  done
fi
exit $FAILED
