/**
 * Character references of HTML, as Python's `html.unescape` and ftfy decode them. The names are WHATWG's table,
 * from the package `entities`; the numeric rules differ from a browser's in dropping what is not a character.
 */
import { decodeHTML, decodeHTMLStrict } from "entities/decode";
import { replaceAligned, type AlignedText } from "../aligned-text.ts";
import { WINDOWS_1252_C1 } from "./code-pages.ts";

/** Any reference, also without its semicolon: `html.unescape`. */
export function unescapeHtml(aligned: AlignedText): AlignedText {
  return replaceAligned(
    aligned,
    /&(?:#\d+;?|#[xX][\da-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/g,
    (reference) => (reference[1] === "#" ? decodeNumeric(reference) : decodeHTML(reference)),
  );
}

/**
 * Only references that end in a semicolon, and lower-case names also in capitals ("&EACUTE;"): what ftfy decodes
 * in text that is not known to be HTML.
 */
export function unescapeUnambiguous(aligned: AlignedText): AlignedText {
  return replaceAligned(aligned, /&#?[\dA-Za-z]{1,24};/g, (reference) => {
    if (reference[1] !== "#") return decodeNamed(reference);
    if (!/^&#(?:\d+|[xX][\da-fA-F]+);$/.test(reference)) return reference;
    const character = decodeNumeric(reference);
    return character === ";" ? reference : character;
  });
}

function decodeNamed(reference: string): string {
  const exact = decodeHTMLStrict(reference);
  if (exact !== reference) return exact;
  const lower = reference.toLowerCase();
  if (reference !== reference.toUpperCase() || decodeHTML(reference) !== reference)
    return reference;
  const character = decodeHTMLStrict(lower);
  return character === lower ? reference : character.toUpperCase();
}

/** `&#65;`, `&#x41;`, with or without the semicolon. */
function decodeNumeric(reference: string): string {
  const digits = reference.slice(2).replace(";", "");
  const code = /^[xX]/.test(digits)
    ? Number.parseInt(digits.slice(1), 16)
    : Number.parseInt(digits, 10);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  if (code >= 0x80 && code <= 0x9f) return WINDOWS_1252_C1[code - 0x80];
  return isNoncharacter(code) ? "" : String.fromCodePoint(code);
}

function isNoncharacter(code: number): boolean {
  const control = code < 0x20 && !/[\t\n\f\r]/.test(String.fromCharCode(code));
  return (
    control || code === 0x7f || (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe
  );
}
