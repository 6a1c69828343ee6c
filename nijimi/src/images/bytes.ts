/** Small helpers over bytes that the containers share. */

/** Pieces as one; a single one is not copied. */
export function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const out = new Uint8Array(pieces.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** Bytes as Latin-1 text: four of them name a chunk or box. */
export function latin1(bytes: Uint8Array, from = 0, to = bytes.length): string {
  let text = "";
  for (let i = from; i < Math.min(to, bytes.length); i++) text += String.fromCharCode(bytes[i]);
  return text;
}

/** The four letters at a place. */
export function fourLetters(bytes: Uint8Array, at: number): string {
  return latin1(bytes, at, at + 4);
}
