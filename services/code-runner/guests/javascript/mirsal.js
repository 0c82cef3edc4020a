// What Mirsal gives to code inside the box: phone numbers, dates, Arabic text and digits.
// guests/python/mirsal.py is the same in Python; tests/data/helpers.json holds both to it.

import "./node_modules/libphonenumber-js/bundle/libphonenumber-max.js";

// It is no module: it leaves its name among the globals.
const phones = globalThis.libphonenumber;
delete globalThis.libphonenumber;

const INVISIBLE = /[\u200b-\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff\u00ad]/g;
const ARABIC_DIGITS = "٠١٢٣٤٥٦٧٨٩";
const PERSIAN_DIGITS = "۰۱۲۳۴۵۶۷۸۹";
const MARKS = /[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640]/g;
const LETTERS = { "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ؤ": "و", "ئ": "ي" };

const PHONE_FAULTS = {
  INVALID_COUNTRY: "has no country code that exists",
  TOO_SHORT: "is too short for its country",
  TOO_LONG: "is too long for its country",
  INVALID_LENGTH: "has not as many digits as its country uses",
  NOT_A_NUMBER: "is no phone number",
};

const MONTHS = new Map(
  [
    "january jan يناير جانفي كانون_الثاني ocak",
    "february feb فبراير فيفري شباط şubat",
    "march mar مارس آذار mart",
    "april apr أبريل ابريل أفريل نيسان nisan",
    "may مايو ماي أيار ايار mayıs",
    "june jun يونيو يونيه جوان حزيران haziran",
    "july jul يوليو يوليه جويلية تموز temmuz",
    "august aug أغسطس اغسطس أوت آب ağustos",
    "september sep sept سبتمبر أيلول ايلول eylül",
    "october oct أكتوبر اكتوبر تشرين_الأول ekim",
    "november nov نوفمبر تشرين_الثاني kasım",
    "december dec ديسمبر كانون_الأول aralık",
  ].flatMap((names, index) => names.split(" ").map((name) => [name, index + 1])),
);
const CLOCK = "(?:[T ,]+(?<hour>\\d{1,2}):(?<minute>\\d{2})(?::(?<second>\\d{2})(?:\\.\\d+)?)?\\s*(?<half>am|pm|ص|م)?\\s*(?<zone>Z|[+-]\\d{2}:?\\d{2})?)?";
const WORD = "[^\\s\\d,.:/()\\-]+";
const PATTERNS = [
  "(?<year>\\d{4})[-/.](?<month>\\d{1,2})[-/.](?<day>\\d{1,2})",
  "(?<first>\\d{1,2})[-/.](?<other>\\d{1,2})[-/.](?<year>\\d{4})",
  `(?<day>\\d{1,2})[ \\-](?<name>${WORD}(?: ال${WORD})?)[ ,\\-]+(?<year>\\d{4})`,
  `(?<name>${WORD}) (?<day>\\d{1,2}),? (?<year>\\d{4})`,
].map((pattern) => new RegExp(`^${pattern}${CLOCK}$`, "iu"));

/** Arabic and Persian digits as 0-9, `٫` as a point and `٬` as a comma. */
export function toAsciiDigits(text) {
  return String(text).replace(/[٠-٩۰-۹٫٬]/g, (each) => {
    if (each === "٫") return ".";
    if (each === "٬") return ",";
    const index = ARABIC_DIGITS.indexOf(each);
    return String(index >= 0 ? index : PERSIAN_DIGITS.indexOf(each));
  });
}

/** 0-9 as ٠-٩. */
export function toArabicDigits(text) {
  return String(text).replace(/[0-9]/g, (each) => ARABIC_DIGITS[Number(each)]);
}

/** Text to search and compare by: no vowel marks or tatweel, one alef, one ya, ASCII digits. */
export function normaliseArabic(text) {
  const plain = String(text).replace(INVISIBLE, "").replace(MARKS, "");
  const folded = plain.replace(/[أإآٱىؤئ]/g, (each) => LETTERS[each]);
  return toAsciiDigits(folded).trim().split(/\s+/u).filter(Boolean).join(" ");
}

/**
 * The number as +<country><number>; `region` (SA, EG) is the country of numbers without one.
 * Throws a TypeError for what is no phone number, by libphonenumber's table of all countries.
 */
export function normalisePhone(text, region = "") {
  let visible = toAsciiDigits(String(text).replace(INVISIBLE, "")).trim().replace(/\uff0b/g, "+");
  if (visible.length > 64 || !/^\+?[0-9\s().\u2010-\u2015\u00b7/-]+$/.test(visible)) {
    throw new TypeError("not one phone number: write it as +966501234567");
  }
  const country = String(region).toUpperCase();
  const known = phones.isSupportedCountry(country);
  if (!visible.startsWith("+") && !known) {
    if (!visible.startsWith("00")) {
      throw new TypeError("the number has no country code: write it as +966501234567, or give a region");
    }
    visible = `+${visible.slice(2)}`;
  }
  const options = known ? { defaultCountry: country, extract: false } : { extract: false };
  const fault = phones.validatePhoneNumberLength(visible, options);
  if (fault) throw new TypeError(`the number ${PHONE_FAULTS[fault]}: write it as +966501234567`);
  return phones.parsePhoneNumberFromString(visible, options).number;
}

/**
 * A date as people write it, as 2026-03-12, or 2026-03-12T14:30:00 where it has a time. Numbers
 * like 3/12/2026 are day first unless told otherwise.
 */
export function parseDate(text, { dayFirst = true } = {}) {
  const plain = toAsciiDigits(String(text).replace(INVISIBLE, ""))
    .replace(/،/g, ",").trim().split(/\s+/u).join(" ");
  for (const pattern of PATTERNS) {
    const found = pattern.exec(plain);
    if (found) return written(found.groups, dayFirst);
  }
  throw new TypeError("not a date: write it as 2026-03-12 or 12/3/2026");
}

function written(parts, dayFirst) {
  let { day, month } = parts;
  if (parts.first !== undefined) {
    [day, month] = dayFirst ? [parts.first, parts.other] : [parts.other, parts.first];
  } else if (month === undefined) {
    month = MONTHS.get(parts.name.toLowerCase().replace(" ", "_"));
    if (month === undefined) throw new TypeError(`${parts.name} is not a month`);
  }
  const [y, m, d] = [Number(parts.year), Number(month), Number(day)];
  const calendar = new Date(0);
  calendar.setUTCFullYear(y, m - 1, d);
  if (y < 1 || calendar.getUTCMonth() !== m - 1 || calendar.getUTCDate() !== d) {
    throw new TypeError("there is no such day");
  }
  const date = `${String(y).padStart(4, "0")}-${two(m)}-${two(d)}`;
  if (parts.hour === undefined) return date;
  let hour = Number(parts.hour);
  if (parts.half) {
    if (hour < 1 || hour > 12) throw new TypeError("the hour must be 1 to 12 with am or pm");
    hour = (hour % 12) + (["pm", "م"].includes(parts.half.toLowerCase()) ? 12 : 0);
  }
  const [minute, second] = [Number(parts.minute), Number(parts.second ?? 0)];
  if (hour > 23 || minute > 59 || second > 59) throw new TypeError("there is no such time");
  return `${date}T${two(hour)}:${two(minute)}:${two(second)}${zoneOf(parts.zone)}`;
}

function zoneOf(zone) {
  if (!zone) return "";
  if (zone.toUpperCase() === "Z") return "+00:00";
  const bare = zone.slice(1).replace(":", "");
  if (Number(bare.slice(0, 2)) > 23) throw new TypeError("there is no such time zone");
  return `${zone[0]}${bare.slice(0, 2)}:${bare.slice(2)}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}
