// People: friends with their presence, who is blocked, and what the page knows of others.

const people = (() => {
  /** How often friends are looked after: being online means a use in the last two minutes. */
  const INTERVAL = 30_000;
  const known = new Map();
  let friends = [];
  let blocked = [];

  const note = (users) => users.forEach((user) => known.set(user.id, user));
  const isFriend = (id) => friends.some((friend) => friend.id === id);
  const isBlocked = (id) => blocked.some((user) => user.id === id);

  async function refresh() {
    const lists = [api.ask("GET", "/users/friends"), api.ask("GET", "/users/blocks")];
    const [{ body: ofFriends }, { body: ofBlocks }] = await Promise.all(lists);
    friends = ofFriends.friends.sort((one, other) => one.username.localeCompare(other.username));
    blocked = ofBlocks.blocks;
    note([...friends, ...blocked]);
    tell("people");
  }

  async function follow(signal) {
    for (;;) {
      await refresh();
      await pause(INTERVAL, signal);
      await becomesVisible(signal);
    }
  }

  /** Somebody of whom the page may know only the id; `undefined` when there is nobody, or nobody who wants to be seen. */
  async function find(id, signal) {
    if (!known.has(id)) note((await api.ask("GET", `/users/search?ids=${encodeURIComponent(id)}`, { signal })).body.users);
    return known.get(id);
  }

  async function search(beginning, signal) {
    const { body } = await api.ask("GET", `/users/search?username=${encodeURIComponent(beginning)}`, { signal, patience: FORM_PATIENCE });
    note(body.users);
    return body.users.filter((user) => user.id !== session.user.id);
  }

  /** Changes a list and reads both again. What the change wanted may have been so before: another tab, or a lost answer. */
  async function change(method, path, body, asWanted, said) {
    await api.ask(method, path, { body }).catch((error) => {
      if (error.code !== asWanted) throw error;
    });
    announce(said);
    await refresh();
  }

  on("ended", () => {
    known.clear();
    [friends, blocked] = [[], []];
  });

  return {
    get friends() {
      return friends;
    },
    get blocked() {
      return blocked;
    },
    known: (id) => known.get(id),
    note,
    isFriend,
    isBlocked,
    follow,
    find,
    search,
    add: (user) => change("POST", "/users/friends", { friendId: user.id }, null, `${user.username} is your friend now`),
    remove: (user) => change("DELETE", "/users/friends", { friendId: user.id }, "not_a_friend", `${user.username} is no friend any more`),
    block: (user) => change("POST", "/users/blocks", { userId: user.id }, null, `${user.username} is blocked`),
    unblock: (user) => change("DELETE", "/users/blocks", { userId: user.id }, "not_blocked", `${user.username} is not blocked any more`),
  };
})();

/** When somebody is there, as far as they let it be seen. */
function presence(user) {
  if (user?.online_status === "online") return "online";
  return user?.lastSeen ? `last seen ${ago(user.lastSeen)}` : "";
}

/** Initials on a colour that is always the same for one person. */
function avatar(user) {
  const initials = make("span", { className: "avatar", textContent: [...user.username].slice(0, 2).join(""), "aria-hidden": "true" });
  initials.style.setProperty("--hue", parseInt(user.id.slice(-4), 16) % 360);
  if (user.online_status === "online") initials.append(make("span", { className: "dot" }));
  return initials;
}

const addressOf = (id) => `#with=${id}`;
