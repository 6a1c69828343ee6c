/**
 * Python's notions of white space, word characters, stripping and numbers.
 *
 * The reference tokenizers and prompt parsers are Python programs; JavaScript's `\s`, `\b`, `trim` and
 * `Number` disagree with theirs (U+FEFF, U+0085, the C0 separators, non-ASCII words, `1_0`).
 */

/** Members of a regular-expression class: what `str.isspace` and `\s` of Python's `re` accept. */
export const PYTHON_SPACE =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** As {@link PYTHON_SPACE} for the `regex` package and for Unicode's White_Space property: without U+001C to U+001F. */
export const UNICODE_SPACE =
  "\\t-\\r\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** Members of a regular-expression class: `\w` of Python's `re` (needs the `u` flag). */
export const PYTHON_WORD = "\\p{L}\\p{N}_";

const SPACE = new RegExp(`[${PYTHON_SPACE}]`);

/** True where `str.isspace` is, for one character. */
export function isPythonSpace(character: string): boolean {
  return SPACE.test(character);
}

/** `str.rstrip()`. */
export function trimEndPython(text: string): string {
  let end = text.length;
  while (end > 0 && isPythonSpace(text[end - 1])) end--;
  return text.slice(0, end);
}

/** `str.strip()`. */
export function trimPython(text: string): string {
  const trimmed = trimEndPython(text);
  let start = 0;
  while (start < trimmed.length && isPythonSpace(trimmed[start])) start++;
  return trimmed.slice(start);
}

/** Lone surrogates, which no UTF-8 text has, become U+FFFD. */
export function toWellFormed(text: string): string {
  return text.replace(
    /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    "\ufffd",
  );
}

/** The text with every decimal digit of any script as its ASCII digit, as `float` and `int` of Python read it. */
export function toAsciiDigits(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => String(digitValue(digit.codePointAt(0)!)));
}

/** Decimal digits fill contiguous runs of ten, or of several tens, from the script's zero on. */
function digitValue(codePoint: number): number {
  let zero = codePoint;
  while (/^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero--;
  return (codePoint - zero) % 10;
}
