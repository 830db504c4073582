/** The shortest programs that have this server say something. */

/**
 * With the official client for Python.
 *
 * @param {string} http the address of the server
 * @param {string} key
 * @param {string} model
 */
export function python(http, key, model) {
  return `from openai import OpenAI

client = OpenAI(
    base_url="${http}/v1",
    api_key="${key}",
)

with client.realtime.connect(model="${model}") as connection:
    connection.session.update(
        session={"type": "realtime", "output_modalities": ["text"]}
    )
    content = [{"type": "input_text", "text": "Hello!"}]
    connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": content}
    )
    connection.response.create()
    for event in connection:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
        elif event.type == "response.done":
            break
`;
}

/**
 * With nothing but a WebSocket: the official client takes no address without TLS.
 *
 * @param {string} ws the same server, for WebSocket
 * @param {string} key
 * @param {string} model
 */
export function javascript(ws, key, model) {
  return `const url = "${ws}/v1/realtime?model=${model}";
const key = "openai-insecure-api-key.${key}";
const socket = new WebSocket(url, ["realtime", key]);
const send = (event) => socket.send(JSON.stringify(event));

socket.onopen = () => {
  const session = { type: "realtime", output_modalities: ["text"] };
  send({ type: "session.update", session });
  const content = [{ type: "input_text", text: "Hello!" }];
  const item = { type: "message", role: "user", content };
  send({ type: "conversation.item.create", item });
  send({ type: "response.create" });
};
socket.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  if (event.type === "response.output_text.delta") {
    process.stdout.write(event.delta);
  } else if (event.type === "response.done") {
    socket.close();
  }
};
`;
}

/**
 * A key for a web page, which lasts minutes.
 *
 * @param {string} http
 * @param {string} key
 * @param {string} model
 */
export function curl(http, key, model) {
  return `curl ${http}/v1/realtime/client_secrets \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d '{"session": {"type": "realtime", "model": "${model}"}}'
`;
}
