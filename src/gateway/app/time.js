// Times as people read them: in their own zone, and in English as the page is.

const LOCALE = navigator.languages.find((language) => language.startsWith("en")) ?? "en-GB";
const HOUR = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const SHORT_DAY = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const WHOLE = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const AGO = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** The day of a time, to tell days apart by. */
const dayOf = (time) => new Date(time).toDateString();
const dayName = (time) => DAY.format(new Date(time));

function timeElement(time, format = HOUR) {
  const at = new Date(time);
  return make("time", { dateTime: time, textContent: format.format(at), title: WHOLE.format(at) });
}

/** The hour of something today, else its day. */
const briefTime = (time) => timeElement(time, dayOf(time) === dayOf(Date.now()) ? HOUR : SHORT_DAY);

/** Such as "5 minutes ago". */
function ago(time) {
  const seconds = Math.max(0, (Date.now() - new Date(time)) / 1_000);
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["minute", 60];
  return seconds < 60 ? "just now" : AGO.format(-Math.floor(seconds / length), unit);
}

/** When a wait of some seconds ends. */
const afterSeconds = (seconds) => (seconds < 90 ? `in ${Math.ceil(seconds)} seconds` : `at ${HOUR.format(Date.now() + seconds * 1_000)}`);
