// The account of the person who is logged in: name, address, who may write, password, sessions, log-out, deletion.

const account = (() => {
  const pane = byId("account-pane");

  async function show() {
    draw();
    await Promise.all([refresh(), listSessions()]);
  }

  async function refresh() {
    session.describe((await api.ask("GET", "/users/profile")).body);
  }

  function draw() {
    const { user } = session;
    if (!user) return;
    for (const element of document.querySelectorAll(".own-name")) element.textContent = user.username;
    byId("own-email").textContent = user.email || "no address";
    byId("verified").textContent = user.isEmailVerified ? "Verified" : "Not verified yet";
    byId("verified").dataset.verified = user.isEmailVerified;
    byId("verify").hidden = user.isEmailVerified || !user.email;
    byId("pending-address").hidden = !user.pendingEmail;
    byId("pending-email").textContent = user.pendingEmail ?? "";
    byId("friends-only").checked = user.messagesFrom === "friends";
  }

  /** Changes the profile; gives what it is then. */
  async function change(fields, options) {
    const { user } = (await api.ask("PUT", "/users/profile", { body: fields, ...options })).body;
    session.describe(user);
    return user;
  }

  // Sessions.

  async function listSessions() {
    const { sessions } = (await api.ask("GET", "/auth/sessions")).body;
    sessions.sort((one, other) => other.current - one.current || other.lastUsedAt.localeCompare(one.lastUsedAt));
    redraw(byId("session-list"), sessions.map(sessionRow));
    byId("end-others").hidden = sessions.length < 2;
  }

  function sessionRow(listed) {
    const used = listed.current ? "this one" : `last used ${ago(listed.lastUsedAt)}`;
    const name = make("span", { className: "name", textContent: programOf(listed.userAgent), title: listed.userAgent ?? "" });
    const begun = make("span", { className: "preview" }, `${used} · since `, timeElement(listed.createdAt, WHOLE));
    const row = make("li", { className: "session" }, name, begun);
    if (!listed.current) {
      const focus = { className: "plain", "data-focus": listed.id, "aria-label": `End the session in ${name.textContent}, ${used}` };
      row.append(makeButton("End", () => end({ sessionId: listed.id }), focus));
    }
    return row;
  }

  /** What programs say of themselves, cut to what people know them by. */
  function programOf(userAgent = "") {
    const browsers = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
    const phones = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"]];
    const systems = [...phones, ["Windows", "Windows"], ["Mac OS", "macOS"], ["Linux", "Linux"]];
    const known = (names) => names.find(([sign]) => userAgent?.includes(sign))?.[1];
    const [browser, system] = [known(browsers), known(systems)];
    return browser ? [browser, system].filter(Boolean).join(" on ") : userAgent?.slice(0, 40) || "An unnamed program";
  }

  async function end(which) {
    const { body } = await api.ask("DELETE", "/auth/sessions", { body: which }).catch((error) => {
      if (error.code !== "session_not_found") throw error;
      return { body: { message: "It has ended already" } };
    });
    byId("session-status").textContent = `${body.message}.`;
    await listSessions();
  }

  async function logOut() {
    const waiting = outbox.all.length;
    const consequence = "They stay in this browser, and are sent when you log in here again.";
    if (waiting > 0 && !(await isConfirmed(`Log out before ${waiting} of your messages are sent?`, consequence, "Log out"))) return;
    const { token } = session;
    session.end("Logging out…");
    // What waits has been given up before, so that it is not told that its session is over.
    await api.ask("POST", "/auth/logout", { token, patience: 0 }).then(
      () => entrance.show("You are logged out."),
      () => entrance.show("The server did not hear of it: there the session ends when it has not been used for 14 days."),
    );
  }

  // Forms.

  byId("edit-profile").addEventListener("toggle", () => {
    clear(byId("profile-form"));
    byId("profile-username").value = session.user?.username ?? "";
    byId("profile-email").value = session.user?.email ?? "";
  });
  onSubmit(byId("profile-form"), async ({ username, email, currentPassword }) => {
    const { user } = session;
    const fields = {};
    if (username !== user.username) fields.username = username;
    if (email !== user.email) fields.email = email;
    if (Object.keys(fields).length === 0) return "Nothing is different.";
    if (fields.email !== undefined && currentPassword) fields.currentPassword = currentPassword;
    const changed = await change(fields, { patience: FORM_PATIENCE });
    byId("profile-password").value = "";
    return changed.pendingEmail && fields.email !== undefined ? `A mail with a link is on its way to ${changed.pendingEmail}.` : "Saved.";
  });

  onSubmit(byId("password-form"), async ({ currentPassword, newPassword }) => {
    const body = { currentPassword, newPassword };
    try {
      await api.ask("PUT", "/auth/password", { body, patience: FORM_PATIENCE });
    } catch (error) {
      if (error.code === "wrong_password" && error.isRepeated) {
        error.sentence = "An answer got lost, and the new password may be set already: log in with it in another window to see.";
      }
      throw error;
    }
    clear(byId("password-form"));
    run(listSessions);
    return "Your password is changed. All other sessions have ended.";
  });

  onSubmit(byId("delete-form"), async ({ password }) => {
    session.leave();
    try {
      await api.ask("DELETE", "/users/profile", { body: { password }, patience: FORM_PATIENCE });
    } catch (error) {
      session.stay();
      throw error;
    }
    session.end();
  });

  byId("verify").addEventListener("click", () =>
    run(async () => {
      const { body } = await api.ask("POST", "/auth/email", { patience: FORM_PATIENCE });
      byId("verify-status").textContent = `${body.message}.`;
    }),
  );
  byId("friends-only").addEventListener("change", ({ target }) =>
    run(async () => {
      const messagesFrom = target.checked ? "friends" : "everyone";
      await change({ messagesFrom });
      announce(target.checked ? "Only friends can write to you now" : "Everyone can write to you now");
    }),
  );
  byId("keep-address").addEventListener("click", () =>
    run(async () => {
      await change({ email: session.user.email });
      byId("verify-status").textContent = "You keep your address.";
      byId("account-title").focus();
    }),
  );
  byId("end-others").addEventListener("click", () => run(() => end({ all: true })));
  byId("log-out").addEventListener("click", () => run(logOut));
  // An address is verified in another tab: whoever comes back from there wants to see it.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !pane.hidden && session.user) run(refresh);
  });

  for (const what of ["begun", "profile"]) on(what, draw);
  on("ended", () => {
    for (const id of ["profile-form", "password-form", "delete-form"]) clear(byId(id));
    for (const id of ["session-status", "verify-status"]) byId(id).textContent = "";
    for (const id of ["edit-profile", "delete-account"]) byId(id).open = false;
  });

  return { show };
})();
