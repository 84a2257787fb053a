// Who is logged in.
//
// The token lies in `sessionStorage`: it is this tab's, outlasts a reload, and is gone with the tab, so nobody finds it on a computer that
// others use too, and two people can talk in two windows of one browser. No script from elsewhere runs in this page that could read it.

/** A storage of the browser, or where it refuses one, something that lasts as long as the page. */
function storage(name) {
  try {
    return window[name];
  } catch {
    return {};
  }
}

const session = (() => {
  const KEY = "chat-functions.session";
  const shelf = storage("sessionStorage");
  let present = shelf[KEY] ? JSON.parse(shelf[KEY]) : null;
  let life = new AbortController();
  let isLeaving = false;

  function keep(next) {
    present = next;
    if (next === null) delete shelf[KEY];
    else shelf[KEY] = JSON.stringify(next);
  }

  return {
    get token() {
      return present?.token;
    },
    /** The person as the server last described them; `undefined` when nobody is logged in. */
    get user() {
      return present?.user;
    },
    /** What is asked for in a session is given up with it. */
    get signal() {
      return life.signal;
    },
    begin({ token, user }) {
      keep({ token, user });
      tell("begun");
    },
    describe(user) {
      keep({ ...present, user });
      tell("profile");
    },
    /** The account is about to be deleted: whichever request hears of that first, its end is what was asked for. */
    leave() {
      isLeaving = true;
    },
    stay() {
      isLeaving = false;
    },
    /** Ends it on this side, and says why. */
    end(notice) {
      if (present === null) return;
      if (isLeaving) tell("deleted");
      keep(null);
      life.abort();
      life = new AbortController();
      tell("ended", isLeaving ? "Your account is deleted." : notice);
      isLeaving = false;
    },
  };
})();
