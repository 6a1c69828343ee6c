/**
 * The single-byte encodings that UTF-8 text is most often mistaken for, as ftfy 6.3 has them ("sloppy": bytes
 * that an encoding leaves unassigned stand for themselves, and byte 1A stands for U+FFFD).
 *
 * Bytes are kept as binary strings (one character U+0000 to U+00FF a byte), so that patterns can run over them.
 */

/** Tried in this order. */
export const CODE_PAGES = [
  "latin-1",
  "windows-1252",
  "windows-1251",
  "windows-1250",
  "windows-1253",
  "windows-1254",
  "windows-1257",
  "iso-8859-2",
  "macroman",
  "cp437",
] as const;

export type CodePage = (typeof CODE_PAGES)[number];

/** The platform has no decoder for the original IBM PC's code page; its upper half. */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** Bytes 80 to 9F of Windows-1252; Node 20's own decoder reads them as Latin-1. */
export const WINDOWS_1252_C1 = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

/** The 256 characters that bytes decode to. */
export function decodingTable(page: CodePage): string[] {
  const latin1 = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
  if (page === "latin-1") return latin1;
  if (page === "cp437") return [...latin1.slice(0, 128), ...CP437];
  if (page === "windows-1252")
    return withSubstitute([...latin1.slice(0, 128), ...WINDOWS_1252_C1, ...latin1.slice(160)]);
  const decoder = new TextDecoder(page === "macroman" ? "macintosh" : page);
  const table = latin1.map((own, byte) => {
    const decoded = byte < 128 ? own : decoder.decode(Uint8Array.of(byte));
    return decoded === "\ufffd" ? own : decoded;
  });
  return isSloppy(page) ? withSubstitute(table) : table;
}

function withSubstitute(table: readonly string[]): string[] {
  return table.with(0x1a, "\ufffd");
}

/** True for the encodings whose gaps are filled, in which U+FFFD is a byte that was lost. */
export function isSloppy(page: CodePage): boolean {
  return page.startsWith("windows-");
}

/** What encodes a character: the inverse of {@link decodingTable}. */
export function encodingTable(page: CodePage): ReadonlyMap<string, string> {
  return new Map(
    decodingTable(page).map((character, byte) => [character, String.fromCharCode(byte)]),
  );
}

/** Text as bytes of an encoding; undefined where it has no byte for a character. */
export function encodeWith(table: ReadonlyMap<string, string>, text: string): string | undefined {
  const bytes: string[] = [];
  for (const character of text) {
    const byte = table.get(character);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  return bytes.join("");
}

/** Strict UTF-8; undefined where the bytes are not. */
export function decodeUtf8(bytes: string): string | undefined {
  try {
    const data = Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}

/**
 * UTF-8 with the two deviations seen in practice: surrogate pairs encoded one by one (CESU-8) and
 * U+0000 as C0 80 (Java).
 */
export function decodeUtf8Variants(bytes: string): string | undefined {
  return decodeUtf8(
    bytes
      .replace(/\xc0\x80/g, "\0")
      .replace(/\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]/g, (six) => {
        const [, high, middle, , low, last] = Array.from(six, (byte) => byte.charCodeAt(0));
        const codePoint =
          0x10000 +
          ((high & 0xf) << 16) +
          ((middle & 0x3f) << 10) +
          ((low & 0xf) << 6) +
          (last & 0x3f);
        return Array.from(new TextEncoder().encode(String.fromCodePoint(codePoint)), (byte) =>
          String.fromCharCode(byte),
        ).join("");
      }),
  );
}
