/**
 * Recognising text that was decoded with the wrong encoding ("schÃ¶n").
 *
 * The heuristic of ftfy 6.3 (Robyn Speer, https://ftfy.readthedocs.io): characters of a few hundred are sorted into
 * kinds, and pairs of kinds that hardly ever stand side by side in real text give mojibake away. CLIP's tokenizers
 * were trained behind it, so the kinds and the pairs have to be the same.
 */
import { PYTHON_SPACE, PYTHON_WORD } from "../python-text.ts";
import { decodingTable, type CodePage } from "./code-pages.ts";

/** Kinds of characters, as members of a regular-expression class. */
const COMMON = "\\u00a0\\u00ad·´–—―…’";
const C1 = "\\x80-\\x9f";
const BAD = "¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\\ufffdªº";
const LAW = "¶§";
const CURRENCY = "¢£¥₧€";
const OPENING = "¡«¿©΄΅‘‚“„•‹\\uf8ff";
const CLOSING = "®»˝”›™";
const NUMERIC = "²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№";
/** Letters that faces are drawn with, and that therefore appear in odd places rightfully. */
const KAOMOJI = "Ò-ÖÙ-Üò-öø-üŐŌŪŲ°";
const UPPER_ACCENTED = "À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ";
const LOWER_ACCENTED = "ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ";
const UPPER_COMMON = "ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я";
const LOWER_COMMON = "α-ωάέήίΰа-џ";
const BOX = "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓";

const ACCENTED = LOWER_ACCENTED + UPPER_ACCENTED;
const PUNCTUATION = OPENING + CLOSING;
const NEIGHBOURS_OF_BAD = ACCENTED + BOX + PUNCTUATION + CURRENCY + NUMERIC + LAW;
const ARABIC_TAIL = `[ØÙ][${COMMON}${CURRENCY}${BAD}${NUMERIC}${OPENING}ŸŠ®°µ»]`;

/** Sequences that give mojibake away; one match is enough. */
const SUSPICIOUS = new RegExp(
  [
    `[${C1}]`,
    `[${BAD}${NEIGHBOURS_OF_BAD}][${BAD}]`,
    `[a-zA-Z][${LOWER_COMMON}${UPPER_COMMON}][${BAD}]`,
    `[${BAD}][${NEIGHBOURS_OF_BAD}]`,
    `[${LOWER_ACCENTED}${LOWER_COMMON}${BOX}${CLOSING}${CURRENCY}${NUMERIC}][${UPPER_ACCENTED}]`,
    `[${BOX}${CLOSING}${CURRENCY}${NUMERIC}][${LOWER_ACCENTED}]`,
    `[${LOWER_ACCENTED}${BOX}${CLOSING}][${CURRENCY}]`,
    `[${PYTHON_SPACE}][${UPPER_ACCENTED}][${CURRENCY}]`,
    `[${UPPER_ACCENTED}${BOX}][${NUMERIC}${LAW}]`,
    `[${ACCENTED}${BOX}${CURRENCY}${CLOSING}][${OPENING}][${NUMERIC}]`,
    `[${ACCENTED}${CURRENCY}${NUMERIC}${BOX}${LAW}][${CLOSING}][${OPENING}]`,
    `[${CURRENCY}${NUMERIC}${BOX}][${OPENING}]`,
    `[a-z][${UPPER_ACCENTED}][${OPENING}${CURRENCY}]`,
    `[${BOX}][${KAOMOJI}]`,
    `[${ACCENTED}${CURRENCY}${NUMERIC}${PUNCTUATION}${LAW}][${BOX}]`,
    `[${BOX}][${CLOSING}]`,
    `[${ACCENTED}][${PUNCTUATION}][${PYTHON_WORD}]`,
    // œ where no plain letter follows; ° after a capital
    "[Œœ][^A-Za-z]",
    `[${UPPER_ACCENTED}]°`,
    // two characters of Windows-1252
    `[ÂÃÎÐ][€œŠš¢£Ÿž\\u00a0\\u00ad®©°·»${PUNCTUATION}–—´]`,
    "×[²³]",
    ARABIC_TAIL + ARABIC_TAIL,
    "à[²µ¹¼½¾]",
    // MacRoman
    "√[±∂†≠®™´≤≥¥µø]",
    "≈[°¢]",
    "‚Ä[ìîïòôúùû†°¢π]",
    "‚[âó][àä°ê]",
    // Windows-1251: punctuation; Latin-1 or Cyrillic letters; twice over
    "вЂ",
    `[ВГРС][${C1}${BAD}${PUNCTUATION}${CURRENCY}°µ][ВГРС]`,
    "ГўВЂВ[^\\n][A-Za-z ]",
    // à, á and the no-break space in Windows-1252
    "Ã[\\u00a0¡]",
    `[a-z][${PYTHON_SPACE}]?[ÃÂ][ ]`,
    "^[ÃÂ][ ]",
    `[a-z.,?!${CLOSING}]Â[ ${PUNCTUATION}]`,
    // Windows-1253: punctuation; letters
    "β€[™\\u00a0Ά\\u00ad®°]",
    `[ΒΓΞΟ][${C1}${BAD}${PUNCTUATION}${CURRENCY}°][ΒΓΞΟ]`,
    // Windows-1257
    "ā€",
  ].join("|"),
  "u",
);

/** True where the text looks as if it had been decoded with the wrong encoding. */
export function looksLikeMojibake(text: string): boolean {
  return SUSPICIOUS.test(text);
}

/** The encodings whose letters the next pattern knows. */
const LATIN_LIKE: readonly CodePage[] = [
  "latin-1",
  "windows-1252",
  "windows-1251",
  "windows-1250",
  "windows-1253",
  "windows-1254",
  "windows-1257",
];

/** What bytes `from` to `to` may have been decoded to, as members of a class. */
function decodedBytes(from: number, to: number): string {
  return [...new Set(LATIN_LIKE.flatMap((page) => decodingTable(page).slice(from, to + 1)))].join(
    "",
  );
}

/**
 * Runs of what looks like UTF-8 read as a Latin-like encoding: lead bytes with their continuation bytes
 * (a space may have been the no-break space A0), not right after something that is itself a continuation byte.
 */
export function mojibakeRuns(): RegExp {
  const continuation = decodedBytes(0x80, 0xbf);
  const strict = continuation.replace(/[–—―‘’‚“”„•…]/g, "");
  const [two, three, four] = [
    decodedBytes(0xc2, 0xdf),
    decodedBytes(0xe0, 0xef),
    decodedBytes(0xf0, 0xf0) + decodedBytes(0xf3, 0xf3),
  ];
  return new RegExp(
    `(?<![${strict}])(?:[${two}][${continuation} ]|[${three}][${continuation} ]{2}|[${four}][${continuation} ]{3})+`,
    "gu",
  );
}
