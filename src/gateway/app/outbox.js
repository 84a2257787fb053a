// Messages that were written and not yet acknowledged. Each gets its `clientId` once, before the first attempt, and is kept with it until
// it is answered, over a reload, a log-out and the end of the tab too: so none is lost, and however often one is sent it is stored once.
//
// They lie in `localStorage`, one entry each, so that tabs of one person do not overwrite each other's; two that send the same entry
// send the same `clientId`.

const outbox = (() => {
  const PREFIX = "chat-functions.outbox.";
  const shelf = storage("localStorage");
  /** Oldest first. */
  let entries = [];
  /** To whom messages are being sent: to one person one after the other, so that they keep their order. */
  let delivering = new Set();

  const prefix = () => `${PREFIX}${session.user.id}.`;
  const to = (recipient) => entries.filter((entry) => entry.recipient.id === recipient);

  /** 128 random bits. `crypto.randomUUID` would need https. */
  function newId() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function keep({ clientId, recipient, text, at, refusal }) {
    try {
      shelf[prefix() + clientId] = JSON.stringify({ clientId, recipient, text, at, refusal });
    } catch {
      alarm("This browser can keep no more messages: leave the page open until they are sent.");
    }
  }

  function drop(entry) {
    delete shelf[prefix() + entry.clientId];
    entries = entries.filter((other) => other !== entry);
  }

  function load() {
    const keys = Object.keys(shelf).filter((key) => key.startsWith(prefix()));
    entries = keys.map((key) => JSON.parse(shelf[key])).sort((one, other) => one.at - other.at);
    delivering = new Set();
    for (const recipient of new Set(entries.map((entry) => entry.recipient.id))) deliver(recipient);
  }

  function add({ id, username }, text) {
    const entry = { clientId: newId(), recipient: { id, username }, text, at: performance.timeOrigin + performance.now(), refusal: null };
    keep(entry);
    entries.push(entry);
    tell("outbox");
    deliver(id);
  }

  async function deliver(recipient) {
    const mine = delivering;
    if (mine.has(recipient)) return;
    mine.add(recipient);
    await run(async () => {
      for (let entry; (entry = to(recipient).find(({ refusal }) => refusal === null)); ) await send(entry);
    });
    mine.delete(recipient);
  }

  async function send(entry) {
    const body = { recipientId: entry.recipient.id, message: entry.text, clientId: entry.clientId };
    const onWait = ({ status }, seconds) => {
      entry.waiting = status === 429 ? `Not sent yet: trying again ${afterSeconds(seconds)}` : "Not sent yet; trying again…";
      tell("outbox");
    };
    try {
      const answer = await api.ask("POST", "/chat/send", { body, onWait });
      drop(entry);
      tell("sent", { entry, answer: answer.body });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // It stays until somebody decides about it; those behind it go on.
      Object.assign(entry, { refusal: error.sentence, waiting: undefined, hasArrived: false });
      keep(entry);
    }
    tell("outbox");
  }

  function retry(entry) {
    entry.refusal = null;
    keep(entry);
    tell("outbox");
    deliver(entry.recipient.id);
  }

  function discard(entry) {
    drop(entry);
    tell("outbox");
  }

  /** A message has come back as stored before its answer did: it need not be shown twice. */
  function arrived(recipient, text) {
    const entry = to(recipient).find((entry) => entry.text === text && entry.refusal === null && !entry.hasArrived);
    if (entry) entry.hasArrived = true;
  }

  on("begun", load);
  on("deleted", () => entries.forEach(drop));
  on("ended", () => {
    entries = [];
  });

  return {
    /** Of those not known to be stored, what waits for one person, or for all. */
    to: (recipient) => to(recipient).filter((entry) => !entry.hasArrived),
    get all() {
      return entries;
    },
    add,
    retry,
    discard,
    arrived,
  };
})();
