// A client whose types are made from the document of the API. That it compiles shows that the document has the types that a
// client needs: what a request takes, and what each status answers.
import type { paths } from "./api";

type Method = "get" | "put" | "post" | "delete";
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;
type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : undefined;

/** What an operation answers: a status with the body that it comes with. */
type Answer<O> = O extends { responses: infer Responses }
  ? { [Status in keyof Responses]: { status: Status; body: Json<Responses[Status]> } }[keyof Responses]
  : never;
type Body<O> = O extends { requestBody: infer Request } ? Json<Request> : undefined;
type Query<O> = O extends { parameters: { query?: infer Parameters } } ? Parameters : undefined;

class Client {
  constructor(private readonly root: string, private readonly token?: string) {}

  async ask<P extends keyof paths, M extends Method>(
    method: M,
    path: P,
    request: { body?: Body<Operation<P, M>>; query?: Query<Operation<P, M>> },
  ): Promise<Answer<Operation<P, M>>> {
    const query = new URLSearchParams(Object.entries(request.query ?? {}).map(([name, value]): [string, string] => [name, String(value)]));
    const headers = { "Content-Type": "application/json", ...(this.token && { Authorization: `Bearer ${this.token}` }) };
    const body = request.body === undefined ? null : JSON.stringify(request.body);
    const response = await fetch(`${this.root}${path}?${query}`, { method: method.toUpperCase(), headers, body });
    return { status: response.status, body: await response.json() } as Answer<Operation<P, M>>;
  }
}

async function register(root: string, username: string, email: string, password: string): Promise<string> {
  const answer = await new Client(root).ask("post", "/api/auth/register", { body: { username, email, password } });
  switch (answer.status) {
    case 201:
      return answer.body.token;
    case 202:
      throw new Error(answer.body.message);
    case 409: {
      // Only these two codes come with this status here.
      const code: "username_taken" | "email_taken" = answer.body.code;
      throw new Error(code);
    }
    case 422:
      throw new Error(Object.values(answer.body.fields ?? {}).join(", "));
    default:
      throw new Error(answer.body.code);
  }
}

async function logIn(root: string, email: string, password: string): Promise<string> {
  const answer = await new Client(root).ask("post", "/api/auth/login", { body: { email, password } });
  if (answer.status !== 200) throw new Error(answer.body.message);
  return answer.body.token;
}

async function send(client: Client, recipientId: string, message: string, clientId: string): Promise<number> {
  const answer = await client.ask("post", "/api/chat/send", { body: { recipientId, message, clientId } });
  if (answer.status !== 200) throw new Error(answer.body.code);
  return answer.body.seq;
}

async function readOn(client: Client, peer: string, after: number): Promise<string[]> {
  const answer = await client.ask("get", "/api/chat/messages", { query: { with: peer, after } });
  if (answer.status !== 200) throw new Error(answer.body.code);
  return answer.body.messages.map((message) => `${message.seq} ${message.senderId}: ${message.content}`);
}

export async function talk(root: string, peer: string): Promise<string[]> {
  await register(root, "ann", "ann@example.com", "tulip-gravel-onion");
  const client = new Client(root, await logIn(root, "ann@example.com", "tulip-gravel-onion"));
  const seq = await send(client, peer, "hello", "1");
  // @ts-expect-error A field that no body has is a mistake.
  await client.ask("post", "/api/chat/send", { body: { recipientId: peer, text: "hello" } });
  // @ts-expect-error So is a method that a route does not have.
  await client.ask("put", "/api/chat/send", { body: {} });
  return readOn(client, peer, seq - 1);
}
