// Requests to the API, and the rules of repeating them: until the server has decided, as late as `Retry-After` says, else twice as long
// each time; chance spreads the pauses, or all who lost a server would return together.

/** How long an attempt may take: a line can die without a word. The server holds an answer back for at most 25 s. */
const DEADLINE = 35_000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** The pause between polls: what happens meanwhile comes at once, and where a proxy drops `Prefer` this is no flood. */
const BREATH = 200;
/** How long somebody at a form is kept waiting by a `Retry-After`, in seconds, before they are told instead. */
const FORM_PATIENCE = 60;

/** What the server has decided against, or what was given up. */
class Refusal extends Error {
  constructor({ status, body }, { seconds, isRepeated }) {
    super(body?.message ?? "The server cannot be reached");
    Object.assign(this, { status, code: body?.code, fields: body?.fields ?? {}, isRepeated });
    this.sentence = status === 429 ? `Too many attempts. Please try again ${afterSeconds(seconds)}.` : `${this.message}.`;
  }
}

/** Waits; ends early with `AbortError`, or when the line is said to be up again if that is waited for. */
function pause(milliseconds, signal, endsOnline = false) {
  return new Promise((resolve, reject) => {
    const ended = new AbortController();
    const finish = (settle, value) => {
      clearTimeout(timer);
      ended.abort();
      settle(value);
    };
    const timer = setTimeout(() => finish(resolve), milliseconds);
    if (signal?.aborted) finish(reject, signal.reason);
    signal?.addEventListener("abort", () => finish(reject, signal.reason), { signal: ended.signal });
    if (endsOnline) window.addEventListener("online", () => finish(resolve), { signal: ended.signal });
  });
}

/** Waits until somebody can see the page. */
async function becomesVisible(signal) {
  while (document.hidden) await pause(500, signal);
}

/** The banner that tells of a server that does not answer, as long as there are requests that wait for it. */
const trouble = (() => {
  const waiting = new Map();
  const show = () => byId("trouble").replaceChildren(...[...new Set(waiting.values())].slice(0, 1));
  return {
    begin(request, status) {
      if (status === 429) waiting.delete(request);
      else waiting.set(request, `The server cannot ${status === 0 ? "be reached" : "answer at present"}; trying again…`);
      show();
    },
    end(request) {
      if (waiting.delete(request)) show();
    },
  };
})();

const api = (() => {
  // This page lies beside what it asks for.
  const BASE = location.pathname.replace(/\/app\/?$/, "");

  function read(text) {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  /** Asks once and reads the answer whole, because the line may be cut in the middle of it. A line that is down has the status 0. */
  async function attempt(method, path, { body, headers, token, signal }) {
    const given = { ...headers };
    if (token) given.Authorization = `Bearer ${token}`;
    if (body !== undefined) given["Content-Type"] = "application/json";
    const signals = signal ? [AbortSignal.timeout(DEADLINE), signal] : [AbortSignal.timeout(DEADLINE)];
    const request = { method, headers: given, body: JSON.stringify(body), signal: AbortSignal.any(signals) };
    try {
      const response = await fetch(BASE + path, { ...request, cache: "no-store", credentials: "omit" });
      return { status: response.status, headers: response.headers, body: read(await response.text()) };
    } catch {
      signal?.throwIfAborted();
      return { status: 0, headers: new Headers(), body: null };
    }
  }

  /** Without an answer, with a 5xx, or with one that is not of this API, nobody knows whether it was done. */
  function isDecided({ status, body }) {
    const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
    return isRefused || status === 304 || (status >= 200 && status < 300 && body !== null);
  }

  /**
   * Repeats a request until the server has decided, so it is for what does no harm when it is done twice. Gives the answer of a success
   * and throws a `Refusal` for anything else, also when `Retry-After` asks for more than `patience` seconds. `onWait` hears of each wait.
   */
  async function ask(method, path, options = {}) {
    const { patience = Infinity, onWait = () => {}, token = session.token, signal = session.signal, ...parts } = options;
    const ticket = {};
    let milliseconds = FIRST_PAUSE;
    try {
      for (let isRepeated = false; ; isRepeated = true) {
        const answer = await attempt(method, path, { token, signal, ...parts });
        if (isDecided(answer)) return settle(answer, token, isRepeated);
        const seconds = Number(answer.headers.get("Retry-After")) || 0;
        if (seconds > patience || patience === 0) throw new Refusal(answer, { seconds, isRepeated: true });
        const wait = Math.max(seconds * 1_000, milliseconds) + Math.random() * milliseconds;
        trouble.begin(ticket, answer.status);
        onWait(answer, wait / 1_000);
        await pause(wait, signal, answer.status === 0);
        milliseconds = Math.min(2 * milliseconds, LONGEST_PAUSE);
      }
    } finally {
      trouble.end(ticket);
    }
  }

  function settle(answer, token, isRepeated) {
    if (answer.status < 400) return answer;
    if (answer.body?.code === "unauthorized" && token !== undefined && token === session.token) {
      session.end("Your session has ended. Please log in again.");
      throw new DOMException("The session has ended", "AbortError");
    }
    throw new Refusal(answer, { isRepeated });
  }

  return { ask };
})();
