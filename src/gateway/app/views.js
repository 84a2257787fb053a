// What is shown: the entrance or the chats, and which of them. The address says it behind `#`, so that going back and reloading do what
// people expect: `#with=ID` is a chat, `#account` the account, nothing the lists.

(() => {
  const isNarrow = matchMedia("(max-width: 44.99rem)");
  let before = "";

  /** Shows what the address says, and moves the focus there. */
  function show() {
    if (!session.user) return;
    const peer = /^#with=([0-9a-z]+)$/.exec(location.hash)?.[1];
    const isAccount = location.hash === "#account";
    byId("rooms").dataset.pane = peer || isAccount ? "detail" : "lists";
    byId("conversation").hidden = !peer;
    byId("account-pane").hidden = !isAccount;
    byId("nothing-open").hidden = Boolean(peer || isAccount);
    if (peer) conversation.show(peer);
    else conversation.close();
    if (isAccount) run(account.show);
    focus(peer, isAccount);
    before = location.hash;
  }

  /** On a phone a field would bring up the keyboard, so a heading has the focus there. Who comes back finds it where they left. */
  function focus(peer, isAccount) {
    const left = [...document.querySelectorAll(`#rooms a[href="${CSS.escape(before)}"]`)].find((link) => link.checkVisibility());
    if (isAccount) byId("account-title").focus();
    else if (peer) (isNarrow.matches || byId("composer").hidden ? byId("peer-name") : byId("text")).focus();
    else (left ?? byId(isNarrow.matches ? "lists-title" : "search")).focus();
  }

  function begin() {
    byId("entrance").hidden = true;
    byId("rooms").hidden = false;
    run(() => chats.follow(session.signal));
    run(() => people.follow(session.signal));
    show();
  }

  function end(notice) {
    byId("rooms").hidden = true;
    byId("entrance").hidden = false;
    // Who comes next finds nothing of the one before.
    document.querySelectorAll("#rooms :is(ul, ol)").forEach((list) => list.replaceChildren());
    history.replaceState(null, "", location.pathname);
    entrance.show(notice);
  }

  window.addEventListener("hashchange", show);
  on("begun", begin);
  on("ended", end);

  // Reloaded: what was kept goes on.
  if (session.user) tell("begun");
  else end();
})();
