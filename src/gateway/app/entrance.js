// The way in: log-in, registration, a mail for whoever has forgotten the password.

const entrance = (() => {
  const FORMS = ["log-in", "register", "forgotten"];

  /** Shows one of the forms, with the focus in its first field. */
  function choose(form) {
    for (const name of FORMS) byId(name).hidden = name !== form;
    byId(form).querySelector("input").focus();
  }

  function show(notice = "") {
    byId("notice").textContent = notice;
    choose("log-in");
  }

  async function logIn({ email, password }) {
    const { body } = await api.ask("POST", "/auth/login", { body: { email, password }, patience: FORM_PATIENCE });
    FORMS.forEach((name) => clear(byId(name)));
    session.begin(body);
  }

  async function register({ username, email, password }) {
    try {
      return await api.ask("POST", "/auth/register", { body: { username, email, password }, patience: FORM_PATIENCE });
    } catch (error) {
      // When an answer was lost, what takes the name may be this very registration: then its password opens it.
      if (!error.isRepeated || error.status !== 409) throw error;
      return await api.ask("POST", "/auth/login", { body: { email, password }, patience: FORM_PATIENCE }).catch(() => {
        throw error;
      });
    }
  }

  onSubmit(byId("log-in"), logIn);

  onSubmit(byId("register"), async (fields) => {
    const { body } = await register(fields);
    FORMS.forEach((name) => clear(byId(name)));
    if (body.token) return session.begin(body);
    // Where addresses are verified first, nobody is logged in yet.
    show(`${body.message}.`);
    byId("log-in").elements.email.value = fields.email;
  });

  onSubmit(byId("forgotten"), async ({ email }) => {
    const { body } = await api.ask("POST", "/auth/password-reset", { body: { email }, patience: FORM_PATIENCE });
    return `${body.message}.`;
  });

  for (const button of document.querySelectorAll("#entrance [data-choose]")) {
    button.addEventListener("click", () => {
      byId("notice").textContent = "";
      choose(button.dataset.choose);
    });
  }

  return { show };
})();
