/** A tar archive in memory, the same bytes everywhere: no times, no owners, ustar headers, blocks of 10,240 bytes. */

const BLOCK = 512;
const RECORD = 20 * BLOCK;

/** A file of the archive. */
export interface TarFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** The archive of files with names of ASCII, at most 100 characters each. */
export function makeTar(files: readonly TarFile[]): Uint8Array {
  const parts = files.flatMap(({ name, content }) => [
    header(name, content.length),
    content,
    new Uint8Array(-content.length & (BLOCK - 1)),
  ]);
  const size = parts.reduce((sum, part) => sum + part.length, 2 * BLOCK);
  const archive = new Uint8Array(Math.ceil(size / RECORD) * RECORD);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}

function header(name: string, size: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => block.set(new TextEncoder().encode(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, `${octal(0o644, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`); // mode, user, group
  put(124, `${octal(size, 11)}\0${octal(0, 11)}\0`); // size, time
  put(148, " ".repeat(8)); // the checksum counts as spaces
  put(156, "0");
  put(257, "ustar\x0000");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 6)}\0 `);
  return block;
}
