// How messages look. Stored ones tell their time, and of own ones whether they were read; those on their way tell how it stands with them.

/** A message and, where it is the first of its day, its day. */
function nodesOf(list, peerName, dayBefore) {
  return list.flatMap((message) => {
    const day = dayOf(message.timestamp);
    const node = nodeOf(message, peerName);
    const separator = make("li", { className: "day", textContent: dayName(message.timestamp), "data-day": day });
    const nodes = day === dayBefore ? [node] : [separator, node];
    dayBefore = day;
    return nodes;
  });
}

function nodeOf(message, peerName) {
  const isOwn = message.senderId === session.user.id;
  const by = unseen(isOwn ? "You: " : `${peerName}: `);
  const properties = { "data-day": dayOf(message.timestamp), "data-seq": message.seq };
  const node = make("li", { className: `message ${isOwn ? "own" : "other"}`, ...properties });
  const meta = make("p", { className: "meta" }, timeElement(message.timestamp));
  if (isOwn) meta.append(make("span", { className: "state" }));
  node.append(make("p", { className: "text" }, by, message.content), meta);
  return node;
}

function pendingNode(entry) {
  const state = entry.refusal ? "failed" : entry.waiting ? "waiting" : entry.seq ? "sent" : "sending";
  const said = { failed: `Not sent: ${entry.refusal}`, waiting: entry.waiting, sent: "Sent", sending: "Sending…" }[state];
  const node = make("li", { className: "message own", "data-state": state });
  const meta = make("p", { className: "meta" }, make("span", { className: "state", textContent: said }));
  node.append(make("p", { className: "text" }, unseen("You: "), entry.text), meta);
  if (state === "failed") {
    const focus = (what) => ({ className: "plain", "data-focus": `${what} ${entry.clientId}` });
    const actions = [
      makeButton("Try again", () => outbox.retry(entry), focus("retry")),
      makeButton("Discard", () => outbox.discard(entry), focus("discard")),
    ];
    node.append(make("div", { className: "actions" }, ...actions));
  }
  return node;
}
