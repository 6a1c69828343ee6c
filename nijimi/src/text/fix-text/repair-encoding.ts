/**
 * Undoing a wrong decoding: "schÃ¶n" → "schön".
 *
 * ftfy 6.3's order of attempts: the whole text as UTF-8 read in a single-byte encoding; else the runs in it that
 * look so; else C1 control characters as Windows-1252. Repeated while something changes, since text is sometimes
 * broken more than once.
 */
import {
  CODE_PAGES,
  decodeUtf8,
  decodeUtf8Variants,
  encodeWith,
  encodingTable,
  isSloppy,
  WINDOWS_1252_C1,
  type CodePage,
} from "./code-pages.ts";
import { looksLikeMojibake, mojibakeRuns } from "./mojibake.ts";

/** Repairs text; returns it unchanged when it does not look broken or cannot be repaired. */
export type EncodingRepair = (text: string) => string;

/** UTF-8 sequences in which a byte A0 has become a space. */
const LOST_NO_BREAK_SPACE =
  /[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] |\xf0 [\x80-\xbf][\x80-\xbf]|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf][\x80-\xbf] /;

/** "Ã " is the word "à" and its space, except where Portuguese contractions begin. */
const LONE_A_GRAVE = /\xc3 (?! |quele|quela|quilo|s )/g;

/** UTF-8 and CESU-8 sequences with lost bytes: 1A, and at some places a question mark. */
const LOSSY = new RegExp(
  [
    "[\\xc2-\\xdf]\\x1a",
    "[\\xc2-\\xc3]\\?",
    "\\xed[\\xa0-\\xaf][\\x1a?]\\xed[\\xb0-\\xbf][\\x1a?\\x80-\\xbf]",
    "\\xed[\\xa0-\\xaf][\\x1a?\\x80-\\xbf]\\xed[\\xb0-\\xbf][\\x1a?]",
    "[\\xe0-\\xef][\\x1a?][\\x1a\\x80-\\xbf]",
    "[\\xe0-\\xef][\\x1a\\x80-\\xbf][\\x1a?]",
    "[\\xf0-\\xf4][\\x1a?][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf]",
    "[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a?][\\x1a\\x80-\\xbf]",
    "[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf][\\x1a?]",
    "\\x1a",
  ].join("|"),
  "g",
);

/** U+FFFD in UTF-8. */
const REPLACEMENT = "\xef\xbf\xbd";

/** No text is broken more often than this; a bound on work, not a limit anybody meets. */
const MAX_ROUNDS = 16;

/** Builds the tables once; the result may be kept. */
export function createEncodingRepair(): EncodingRepair {
  const tables = CODE_PAGES.map((page) => ({ page, table: encodingTable(page) }));
  const runs = mojibakeRuns();

  function repair(text: string): string {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const repaired = repairOnce(text);
      if (repaired === text) break;
      text = repaired;
    }
    return text;
  }

  function repairOnce(text: string): string {
    if (!looksLikeMojibake(text)) return text;
    for (const { page, table } of tables) {
      const bytes = encodeWith(table, text);
      const decoded = bytes === undefined ? undefined : decodeMisread(bytes, page);
      if (decoded !== undefined) return decoded;
    }
    const inRuns = text.replace(runs, (run) =>
      run.length < text.length && looksLikeMojibake(run) ? repair(run) : run,
    );
    if (inRuns !== text) return inRuns;
    // Latin-1 with C1 controls, then C1 controls in other text: they were meant as Windows-1252.
    return replaceC1Controls(text);
  }

  return repair;
}

/** C1 controls, which nobody means, as the characters that Windows-1252 has in their places. */
export function replaceC1Controls(text: string): string {
  return text.replace(/[\x80-\x9f]/g, (control) => WINDOWS_1252_C1[control.charCodeAt(0) - 0x80]);
}

/** Bytes as the UTF-8 they were before somebody read them as `page`. */
function decodeMisread(bytes: string, page: CodePage): string | undefined {
  // In MacRoman this would match an en dash with a space after it.
  if (page !== "macroman" && LOST_NO_BREAK_SPACE.test(bytes)) bytes = restoreNoBreakSpaces(bytes);
  if (isSloppy(page)) bytes = bytes.replace(LOSSY, REPLACEMENT);
  return /[\xed\xc0]/.test(bytes) ? decodeUtf8Variants(bytes) : decodeUtf8(bytes);
}

function restoreNoBreakSpaces(bytes: string): string {
  return bytes
    .replace(LONE_A_GRAVE, "\xc3\xa0 ")
    .replace(new RegExp(LOST_NO_BREAK_SPACE, "g"), (sequence) => sequence.replaceAll(" ", "\xa0"));
}
