/** Python 2's `repr` of a string, as pickles of protocol 0 hold it. */
import type { NijimiError } from "../../errors.ts";

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))/g;

/**
 * The string that a quoted line stands for.
 *
 * @param damaged makes the error for a line that is none
 */
export function parseQuoted(line: string, damaged: (problem: string) => NijimiError): string {
  const quote = line[0];
  if ((quote !== "'" && quote !== '"') || line.length < 2 || !line.endsWith(quote))
    throw damaged("a string is not quoted");
  return line.slice(1, -1).replace(ESCAPE, (all, hex, octal, letter) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    return ESCAPES[letter] ?? all; // Python keeps a backslash before a letter it does not know
  });
}
