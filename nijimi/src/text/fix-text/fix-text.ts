/**
 * Repairing text before it is tokenized, with the results of `ftfy.fix_text` 6.3 in its default configuration:
 * HTML references, mojibake, ligatures, character width, curly quotes, line breaks, terminal escapes, control
 * characters, NFC. CLIP's tokenizers clean prompts with it.
 *
 * Differs from ftfy in keeping each character's place in the original (see `aligned-text.ts`).
 */
import {
  joinAligned,
  normalizeAligned,
  replaceAligned,
  rewriteAligned,
  sliceAligned,
  type AlignedText,
} from "../aligned-text.ts";
import { unescapeUnambiguous } from "./html-entities.ts";
import { createEncodingRepair, replaceC1Controls } from "./repair-encoding.ts";

/** Repairs a text, keeping the original place of every character. */
export type TextRepair = (text: AlignedText) => AlignedText;

/** Each is a pattern and what it becomes, in this order. */
const FIXERS: readonly (readonly [pattern: RegExp, replacement: (match: string) => string])[] = [
  [/[\x80-\x9f]/g, replaceC1Controls],
  // ligatures of Latin letters, and digraphs that are one character for legacy reasons
  [/[ĲĳŉǱ-ǳǄ-ǌﬀ-ﬆ]/g, (ligature) => (ligature === "ﬅ" ? "ſt" : ligature.normalize("NFKC"))],
  [/[\u3000\uff01-\uffef]/g, (wide) => (wide === "\u3000" ? " " : wide.normalize("NFKC"))],
  [/[\u201c-\u201f]/g, () => '"'],
  [/[\u02bc\u2018-\u201b]/g, () => "'"],
  [/\r\n|[\r\u2028\u2029\u0085]/g, () => "\n"],
  [/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, () => "\ufffd"],
  [/\x1b\[[\d;]*[a-zA-Z]/g, () => ""],
  [/[\0-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, () => ""],
];

/** Plain ASCII without "&". */
const NOTHING_TO_REPAIR = /^[\n\x20-\x25\x27-\x7e]*$/;

/** Text settles after two or three rounds; a bound on work, not a limit anybody meets. */
const MAX_ROUNDS = 16;

/** Builds the encoding tables once; the result may be kept. */
export function createTextRepair(): TextRepair {
  const repairEncoding = createEncodingRepair();

  function repairLine(line: AlignedText, unescape: boolean): AlignedText {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const before = line.text;
      if (unescape) line = unescapeUnambiguous(line);
      line = rewriteAligned(line, repairEncoding(line.text));
      for (const [pattern, replacement] of FIXERS)
        line = replaceAligned(line, pattern, replacement);
      line = normalizeAligned(line, "NFC");
      if (line.text === before) break;
    }
    return line;
  }

  return (whole) => {
    const { text } = whole;
    if (NOTHING_TO_REPAIR.test(text)) return whole;
    const parts: AlignedText[] = [];
    // A "<" means that the text is HTML, whose references are left alone from there on.
    let unescape = true;
    let kept = 0; // lines from here on need nothing so far
    for (let from = 0; from < text.length;) {
      const to = text.indexOf("\n", from) + 1 || text.length;
      const line = text.slice(from, to);
      unescape &&= !line.includes("<");
      if (!NOTHING_TO_REPAIR.test(line)) {
        if (from > kept) parts.push(sliceAligned(whole, kept, from));
        parts.push(repairLine(sliceAligned(whole, from, to), unescape));
        kept = to;
      }
      from = to;
    }
    return joinAligned([...parts, sliceAligned(whole, kept, text.length)]);
  };
}
