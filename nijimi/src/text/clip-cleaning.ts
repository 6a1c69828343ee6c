/**
 * What happens to a prompt before CLIP's BPE sees it. Four programs tokenize for CLIP and clean differently; on
 * unusual prompts (entities, full width, capital markers) their ids differ too.
 */
import {
  lowerAligned,
  normalizeAligned,
  replaceAligned,
  trimAligned,
  type AlignedText,
} from "./aligned-text.ts";
import { createTextRepair } from "./fix-text/fix-text.ts";
import { unescapeHtml } from "./fix-text/html-entities.ts";
import { PYTHON_SPACE, UNICODE_SPACE } from "./python-text.ts";

/**
 * - `"transformers"`: `CLIPTokenizer` of transformers with ftfy installed, which diffusers loads
 * - `"transformers-without-ftfy"`: the same without ftfy, which then takes its BERT cleaning
 * - `"transformers-fast"`: `CLIPTokenizerFast`
 * - `"openai"`: openai/CLIP
 * - `"open_clip"`: open_clip; cleans as openai, but spells its markers `<start_of_text>` and `<end_of_text>`
 */
export const CLIP_CLEANINGS = [
  "transformers",
  "transformers-without-ftfy",
  "transformers-fast",
  "openai",
  "open_clip",
] as const;

export type ClipCleaning = (typeof CLIP_CLEANINGS)[number];

/** Cleans a text, keeping the original place of every character. */
export type Cleaner = (text: AlignedText) => AlignedText;

/** Builds what the cleaning needs once. */
export function createCleaner(cleaning: ClipCleaning): Cleaner {
  switch (cleaning) {
    case "transformers-fast":
      return (text) => lowerAligned(collapse(normalizeAligned(text, "NFC"), UNICODE_SPACE), true);
    case "transformers-without-ftfy":
      return bertClean;
    case "transformers": {
      const repair = createTextRepair();
      return (text) => lowerAligned(trimAligned(collapse(repair(text), UNICODE_SPACE)));
    }
    case "openai":
    case "open_clip": {
      const repair = createTextRepair();
      return (text) =>
        lowerAligned(trimAligned(collapse(unescapeHtml(unescapeHtml(repair(text))), PYTHON_SPACE)));
    }
  }
}

/** Runs of white space as one space. */
function collapse(text: AlignedText, space: string): AlignedText {
  return replaceAligned(text, new RegExp(`[${space}]+`, "g"), () => " ");
}

/** BERT's cleaning without splitting at punctuation: no control characters, CJK characters stand apart. */
function bertClean(text: AlignedText): AlignedText {
  const visible = replaceAligned(text, /[\0\ufffd]|(?![\t\n\r])\p{C}/gu, () => "");
  const apart = replaceAligned(
    replaceAligned(visible, /[\t\n\r\p{Zs}]/gu, () => " "),
    /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu,
    (character) => ` ${character} `,
  );
  return lowerAligned(trimAligned(collapse(normalizeAligned(apart, "NFC"), PYTHON_SPACE)));
}
