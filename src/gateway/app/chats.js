// The list of conversations. `ETag` names the state that is known; the server answers when there is another, whatever happened in between.
// So nothing is missed, and nothing has to be counted or put in order.

const chats = (() => {
  const list = byId("chat-list");
  /** The first page, which is followed, and what was asked for behind it. */
  let latest = [];
  let earlier = [];
  let nextBefore;
  let hasAskedForEarlier = false;

  async function follow(signal) {
    let tag = '"none"';
    for (;;) {
      const headers = { Prefer: "wait=25", "If-None-Match": tag };
      const answer = await api.ask("GET", "/chat/conversations", { signal, headers });
      if (answer.status !== 304) {
        take(answer.body, tag !== '"none"');
        tag = answer.headers.get("ETag") ?? tag;
      }
      await pause(BREATH, signal);
    }
  }

  function take(page, isChange) {
    const before = new Map(latest.map((chat) => [chat.chatId, chat.unread]));
    const hasNews = (chat) => chat.unread > (before.get(chat.chatId) ?? 0) && chat.user.id !== conversation.peer;
    if (isChange) {
      page.conversations.filter(hasNews).forEach((chat) => announce(`${chat.unread} unread from ${chat.user.username}`));
    }
    // What fell off the first page is still a conversation.
    const isListed = (chat) => page.conversations.some((other) => other.chatId === chat.chatId);
    earlier = page.nextBefore === undefined ? [] : [...latest, ...earlier].filter((chat) => !isListed(chat));
    if (!hasAskedForEarlier) nextBefore = page.nextBefore;
    latest = page.conversations;
    people.note(latest.map((chat) => chat.user));
    tell("chats");
  }

  async function loadEarlier() {
    const { body } = await api.ask("GET", `/chat/conversations?before=${encodeURIComponent(nextBefore)}`);
    const isListed = (chat) => all().some((other) => other.chatId === chat.chatId);
    earlier.push(...body.conversations.filter((chat) => !isListed(chat)));
    [nextBefore, hasAskedForEarlier] = [body.nextBefore, true];
    people.note(body.conversations.map((chat) => chat.user));
    tell("chats");
  }

  const all = () => [...latest, ...earlier];
  const find = (peer) => all().find((chat) => chat.user.id === peer);

  function row(user, preview, time, unread = 0) {
    const badge = unread > 0 ? [make("span", { className: "badge", textContent: unread }, unseen(" unread"))] : [];
    const link = make(
      "a",
      { href: addressOf(user.id), className: "row", "data-focus": user.id },
      avatar(user),
      make("span", { className: "name", textContent: user.username }),
      time,
      make("span", { className: "preview", textContent: preview }),
      ...badge,
    );
    if (user.online_status === "online") link.append(unseen(", online"));
    if (user.id === conversation.peer) link.setAttribute("aria-current", "true");
    return make("li", {}, link);
  }

  function rowOf(chat) {
    const { content, senderId, timestamp } = chat.lastMessage;
    const own = senderId === session.user.id ? "You: " : "";
    return row(chat.user, own + content, briefTime(timestamp), conversation.isRead(chat.user.id) ? 0 : chat.unread);
  }

  /** People to whom there are messages only here, as yet. */
  function rowsOfOutbox() {
    const last = new Map(outbox.all.filter(({ recipient }) => !find(recipient.id)).map((entry) => [entry.recipient.id, entry]));
    return [...last.values()].map(({ recipient, text, at }) => row(recipient, `Not sent yet: ${text}`, briefTime(at)));
  }

  function draw() {
    if (!session.user) return;
    const rows = [...rowsOfOutbox(), ...all().map(rowOf)];
    redraw(list, rows);
    byId("no-chats").hidden = rows.length > 0;
    byId("earlier-chats").hidden = nextBefore === undefined;
    const unread = all().reduce((sum, chat) => sum + (conversation.isRead(chat.user.id) ? 0 : chat.unread), 0);
    byId("unread").textContent = unread > 0 ? unread : "";
    document.title = unread > 0 ? `(${unread}) Chat` : "Chat";
  }

  byId("earlier-chats").addEventListener("click", () => run(loadEarlier));
  for (const what of ["chats", "outbox", "opened", "read", "profile"]) on(what, draw);
  on("ended", () => {
    [latest, earlier, nextBefore, hasAskedForEarlier] = [[], [], undefined, false];
    document.title = "Chat";
  });

  return { follow, find };
})();
