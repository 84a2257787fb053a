// The side of the page: finding people, and the list of friends.

(() => {
  /** How long somebody types on before it is worth asking, and how much there must be to ask for. */
  const HESITATION = 250;
  const MIN_CHARACTERS = 2;
  const [input, found, status] = [byId("search"), byId("found"), byId("search-status")];
  let asked = new AbortController();
  let users = [];

  async function look() {
    asked.abort();
    asked = new AbortController();
    const signal = AbortSignal.any([asked.signal, session.signal]);
    const beginning = input.value.trim();
    if (beginning.length < MIN_CHARACTERS) return show([], beginning === "" ? "" : "Type the beginning of a name.");
    await pause(HESITATION, signal);
    try {
      const list = await people.search(beginning, signal);
      show(list, list.length === 0 ? "Nobody is found." : `${list.length} found`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      show([], error.fields.username ? `A name ${error.fields.username}.` : error.sentence);
    }
  }

  function show(list, said) {
    users = list;
    status.textContent = said;
    draw();
  }

  function draw() {
    byId("sides").hidden = input.value.trim() !== "";
    redraw(found, users.map((user) => personRow(user, "", actionFor(user))));
  }

  function actionFor(user) {
    if (people.isBlocked(user.id)) return null;
    const focus = { className: "plain", "data-focus": `add ${user.id}` };
    if (people.isFriend(user.id)) return make("span", { className: "note", textContent: "Friend" });
    return makeButton("Add", () => people.add(user), { ...focus, "aria-label": `Add ${user.username} to friends` });
  }

  function end() {
    input.value = "";
    run(look);
  }

  input.addEventListener("input", () => run(look));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") end();
  });
  // Who was found is talked to now.
  found.addEventListener("click", (event) => {
    if (event.target.closest("a")) end();
  });
  byId("search-form").addEventListener("submit", (event) => event.preventDefault());
  for (const what of ["people", "opened"]) on(what, draw);
  on("ended", end);
})();

/** Somebody, to talk to, with something else that can be done. */
function personRow(user, note, action) {
  const said = [presence(user), note].filter(Boolean).join(" · ");
  const link = make(
    "a",
    { href: addressOf(user.id), className: "row", "data-focus": `open ${user.id}` },
    avatar(user),
    make("span", { className: "name", textContent: user.username }),
    make("span", { className: "preview", textContent: said }),
  );
  if (user.id === conversation.peer) link.setAttribute("aria-current", "true");
  return make("li", {}, link, ...(action ? [action] : []));
}

(() => {
  function draw() {
    const plain = (what, user) => ({ className: "plain", "data-focus": `${what} ${user.id}`, "aria-label": `${what} ${user.username}` });
    const rowOf = (user) =>
      personRow(user, user.mutual ? "" : "has not added you", makeButton("Remove", () => people.remove(user), plain("Remove", user)));
    const blockedRow = (user) => personRow(user, "", makeButton("Unblock", () => people.unblock(user), plain("Unblock", user)));
    redraw(byId("friend-list"), people.friends.map(rowOf));
    redraw(byId("blocked-list"), people.blocked.map(blockedRow));
    byId("no-friends").hidden = people.friends.length > 0;
    byId("blocked").hidden = people.blocked.length === 0;
  }

  /** Shows one of the two lists. */
  function choose(side) {
    for (const name of ["chats", "friends"]) {
      byId(`${name}-side`).hidden = name !== side;
      byId(`choose-${name}`).setAttribute("aria-pressed", name === side);
    }
  }

  byId("choose-chats").addEventListener("click", () => choose("chats"));
  byId("choose-friends").addEventListener("click", () => choose("friends"));
  for (const what of ["people", "opened"]) on(what, draw);
  on("begun", () => choose("chats"));
  choose("chats");
})();
