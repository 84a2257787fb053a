// The messages of the chat that is open. `last` is the number of the last one that is shown, and moves when a page was shown, not when it
// was asked for: so a page that got lost comes again, and a message that is shown does not. Own messages come this way too, each in its
// place.

const conversation = (() => {
  const [scroller, messages, pending] = [byId("history"), byId("messages"), byId("pending")];
  let open = null;
  /** Whether the end stays in view when something comes, or when there is less room. */
  let isFollowing = true;

  function show(peer) {
    if (open?.peer === peer) return;
    close();
    const left = new AbortController();
    const signal = AbortSignal.any([left.signal, session.signal]);
    open = { peer, left, signal, last: 0, marked: 0, peerRead: 0, isLoaded: false, sent: [] };
    isFollowing = true;
    drawPending();
    tell("opened");
    const chat = open;
    run(() => follow(chat));
  }

  function close() {
    if (open === null) return;
    open.left.abort();
    open = null;
    messages.replaceChildren();
    pending.replaceChildren();
    byId("earlier").hidden = true;
    tell("opened");
  }

  const user = () => open && (chats.find(open.peer)?.user ?? people.known(open.peer));
  const nameOfPeer = () => user()?.username ?? "They";

  // What is shown.

  /** Tells of own messages whether the other has read them. */
  function drawStates() {
    for (const node of messages.querySelectorAll(".own:not([data-state=read])")) {
      const isRead = Number(node.dataset.seq) <= open.peerRead;
      node.dataset.state = isRead ? "read" : "sent";
      node.querySelector(".state").textContent = isRead ? "Read" : "Sent";
    }
  }

  function drawPending() {
    if (open === null) return;
    redraw(pending, [...open.sent, ...outbox.to(open.peer)].map(pendingNode));
    if (isFollowing) scrollToEnd();
  }

  const isAtEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;

  function scrollToEnd() {
    isFollowing = true;
    scroller.scrollTop = scroller.scrollHeight;
    byId("to-end").hidden = true;
  }

  // What comes.

  const ask = (chat, query, headers) =>
    api.ask("GET", `/chat/messages?with=${encodeURIComponent(chat.peer)}${query}`, { signal: chat.signal, headers });

  async function follow(chat) {
    const { body } = await ask(chat, "");
    chat.nextBefore = body.nextBefore;
    append(chat, body.messages);
    chat.isLoaded = true;
    scrollToEnd();
    byId("earlier").hidden = chat.nextBefore === undefined;
    for (;;) {
      // Who does not look is served by the list: a browser opens only so many connections for all its tabs.
      await becomesVisible(chat.signal);
      const page = (await ask(chat, `&after=${chat.last}`, { Prefer: "wait=25" })).body.messages;
      expectNoMore(chat, page);
      const news = append(chat, page).filter((message) => message.senderId === chat.peer);
      if (news.length > 0) announce(news.map((message) => `${nameOfPeer()}: ${message.content}`).join("\n"));
      await pause(BREATH, chat.signal);
    }
  }

  /** Own messages that are stored before the answer to their sending has come are not shown twice meanwhile. */
  function expectNoMore(chat, page) {
    const isAnswered = (message) => message.seq <= chat.last || chat.sent.some((entry) => entry.seq === message.seq);
    const own = page.filter((message) => message.senderId !== chat.peer && !isAnswered(message));
    own.forEach((message) => outbox.arrived(chat.peer, message.content));
  }

  /** Shows what is not shown yet; gives it. */
  function append(chat, page) {
    const list = page.filter((message) => message.seq > chat.last);
    if (list.length === 0) return list;
    messages.append(...nodesOf(list, nameOfPeer(), messages.lastElementChild?.dataset.day));
    const last = list[list.length - 1];
    [chat.last, chat.chatId] = [last.seq, last.chatId];
    chat.sent = chat.sent.filter((entry) => entry.seq > chat.last);
    drawStates();
    drawPending();
    byId("to-end").hidden = isFollowing;
    run(() => mark(chat));
    return list;
  }

  async function loadEarlier() {
    const chat = open;
    if (chat.nextBefore === undefined || chat.isLoading) return;
    chat.isLoading = true;
    try {
      const { body } = await ask(chat, `&before=${chat.nextBefore}`);
      chat.nextBefore = body.nextBefore;
      const fromEnd = scroller.scrollHeight - scroller.scrollTop;
      const first = messages.firstElementChild;
      if (first?.dataset.day === dayOf(body.messages.at(-1).timestamp)) first.remove();
      messages.prepend(...nodesOf(body.messages, nameOfPeer()));
      drawStates();
      if (chat.nextBefore === undefined) hideEarlier();
      // What was looked at stays where it was.
      scroller.scrollTop = scroller.scrollHeight - fromEnd;
    } finally {
      chat.isLoading = false;
    }
  }

  function hideEarlier() {
    if (document.activeElement === byId("earlier")) scroller.focus();
    byId("earlier").hidden = true;
  }

  /** Marks read what can be seen. A mark never moves back, so it does not matter how often it is set, nor in which order. */
  async function mark(chat) {
    while (chat === open && !document.hidden && isAtEnd() && chat.last > chat.marked && !chat.isMarking) {
      chat.isMarking = true;
      const readSeq = chat.last;
      try {
        await api.ask("PUT", "/chat/conversations", { signal: chat.signal, body: { chatId: chat.chatId, readSeq } });
        chat.marked = readSeq;
      } finally {
        chat.isMarking = false;
      }
    }
    tell("read");
  }

  /** A sent message that is the next one needs no way through the server again. */
  function acknowledge({ entry, answer }) {
    if (open?.peer !== entry.recipient.id) return;
    const { id, chatId, seq, timestamp } = answer;
    const message = { id, chatId, seq, timestamp, senderId: session.user.id, recipientId: open.peer, content: entry.text };
    if (open.isLoaded && seq === open.last + 1) append(open, [message]);
    else if (seq > open.last) open.sent.push({ ...entry, seq, waiting: undefined });
  }

  function takeProgress() {
    const listed = open && chats.find(open.peer);
    if (listed) {
      open.peerRead = Math.max(open.peerRead, listed.peerReadSeq);
      open.marked = Math.max(open.marked, listed.readSeq);
      drawStates();
    }
  }

  // What is done.

  byId("earlier").addEventListener("click", () => run(loadEarlier));
  byId("to-end").addEventListener("click", () => {
    scrollToEnd();
    run(() => mark(open));
    byId("text").focus();
  });
  scroller.addEventListener("scroll", () => {
    isFollowing = isAtEnd();
    if (open === null || !isFollowing) return;
    byId("to-end").hidden = true;
    run(() => mark(open));
  });
  document.addEventListener("visibilitychange", () => {
    if (open !== null) run(() => mark(open));
  });
  // A keyboard, a longer draft or a banner takes room.
  new ResizeObserver(() => {
    if (isFollowing) scrollToEnd();
  }).observe(scroller);
  // Who scrolls up to the beginning of what is shown wants to read on.
  new IntersectionObserver(([entry]) => {
    if (entry.isIntersecting && open?.isLoaded) run(loadEarlier);
  }, { root: scroller }).observe(byId("earlier"));

  on("sent", acknowledge);
  on("outbox", drawPending);
  for (const what of ["chats", "opened"]) on(what, takeProgress);
  on("written", scrollToEnd);
  on("ended", close);

  return {
    show,
    close,
    /** Whose chat is open, if one is. */
    get peer() {
      return open?.peer;
    },
    /** The same person as far as they are known. */
    get user() {
      return user();
    },
    /** Whether somebody is looking at the end of the chat with a person. */
    isRead: (peer) => open?.peer === peer && !document.hidden && isAtEnd(),
  };
})();
