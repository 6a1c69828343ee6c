/**
 * The byte alphabet of GPT-2's and CLIP's BPE: every byte has a printable character, so that vocabularies are text.
 * Printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100 onwards.
 */

const PRINTABLE = [range(0x21, 0x7e), range(0xa1, 0xac), range(0xae, 0xff)].flat();

/** Bytes in the order in which vocabularies list them: the printable ones first. */
export const BYTE_ORDER: readonly number[] = [
  ...PRINTABLE,
  ...range(0, 255).filter((byte) => !PRINTABLE.includes(byte)),
];

/** The character of each byte. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

const BYTE_OF = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** UTF-8 bytes of a text in the alphabet; lone surrogates count as U+FFFD. */
export function toByteAlphabet(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => BYTE_CHARACTERS[byte]).join("");
}

/** The text that the bytes spell; what is not UTF-8 becomes U+FFFD, what is not in the alphabet stays as it is. */
export function fromByteAlphabet(spelled: string): string {
  const bytes = Array.from(spelled).flatMap((character) => {
    const byte = BYTE_OF.get(character);
    return byte === undefined ? [...new TextEncoder().encode(character)] : [byte];
  });
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

function byteCharacters(): string[] {
  const characters = Array.from<string>({ length: 256 });
  BYTE_ORDER.forEach((byte, index) => {
    characters[byte] = String.fromCharCode(
      index < PRINTABLE.length ? byte : 256 + index - PRINTABLE.length,
    );
  });
  return characters;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
