// Where a message is written. What is not sent yet is kept as a draft of its chat, with the tab.

(() => {
  /** A text may have so many characters, as Unicode counts them. */
  const MAX_CHARACTERS = 4_000;
  const [composer, text] = [byId("composer"), byId("text")];
  const drafts = storage("sessionStorage");
  const draftKey = () => `chat-functions.draft.${session.user.id}.${conversation.peer}`;

  function open() {
    if (conversation.peer === undefined) return;
    text.value = drafts[draftKey()] ?? "";
    countCharacters();
  }

  function countCharacters() {
    const left = MAX_CHARACTERS - [...text.value].length;
    const said = left < 0 ? `${-left} characters too many` : `${left} characters left`;
    byId("composer-status").textContent = left < 200 ? said : "";
    return left >= 0;
  }

  function send() {
    if (!countCharacters() || text.value.trim() === "") return;
    outbox.add(conversation.user ?? { id: conversation.peer, username: "…" }, text.value);
    text.value = "";
    delete drafts[draftKey()];
    countCharacters();
    tell("written");
  }

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
    text.focus();
  });
  text.addEventListener("input", () => {
    countCharacters();
    drafts[draftKey()] = text.value;
  });
  text.addEventListener("keydown", (event) => {
    // On a phone the key makes a new line, as it does everywhere there.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    send();
  });
  on("opened", open);
})();
