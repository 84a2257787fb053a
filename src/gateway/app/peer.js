// The other person of the chat that is open: name, presence, and what can be done about them.

(() => {
  /** What takes the place of the name of somebody who has deleted their account; with its space it is nobody's name. */
  const DELETED_USER = "deleted user";
  /** Somebody whom nobody knows, perhaps from an old address. */
  let stranger;

  async function introduce() {
    const id = conversation.peer;
    draw();
    if (id === undefined) return;
    const user = await people.find(id, session.signal).catch((error) => {
      if (!(error instanceof Refusal)) throw error;
    });
    if (user === undefined) stranger = id;
    draw();
  }

  /** Why nothing can be written here, if so. */
  function reason(id, user) {
    if (user?.username === DELETED_USER) return "This account has been deleted.";
    if (people.isBlocked(id)) return `You have blocked ${user?.username ?? "this person"}.`;
    return !user && id === stranger ? "There is nobody here to write to." : "";
  }

  function draw() {
    const { peer: id, user } = conversation;
    if (id === undefined) return;
    const isBlocked = people.isBlocked(id);
    byId("peer-name").textContent = user?.username ?? (id === stranger ? "Nobody" : "…");
    byId("peer-presence").textContent = isBlocked ? "blocked" : presence(people.known(id));
    byId("peer-avatar").replaceChildren(...(user ? [avatar(user)] : []));
    byId("peer-menu").hidden = !user || user.username === DELETED_USER;
    byId("peer-friend").textContent = people.isFriend(id) ? "Remove from friends" : "Add to friends";
    byId("peer-friend").hidden = isBlocked;
    byId("peer-block").textContent = isBlocked ? "Unblock" : "Block…";
    byId("text-label").textContent = `Message to ${user?.username ?? "this person"}`;
    byId("no-composer").textContent = reason(id, user);
    byId("no-composer").hidden = reason(id, user) === "";
    byId("composer").hidden = reason(id, user) !== "";
  }

  async function changeBlock() {
    const { user } = conversation;
    if (people.isBlocked(user.id)) return people.unblock(user);
    const consequence = "You will hear nothing from them, and they cannot find you. You will not be friends any more.";
    if (await isConfirmed(`Block ${user.username}?`, consequence, "Block")) await people.block(user);
  }

  byId("peer-friend").addEventListener("click", () => {
    const { user } = conversation;
    run(() => (people.isFriend(user.id) ? people.remove(user) : people.add(user)));
  });
  byId("peer-block").addEventListener("click", () => run(changeBlock));
  on("opened", () => run(introduce));
  for (const what of ["chats", "people"]) on(what, draw);
})();
