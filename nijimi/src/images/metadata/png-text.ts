/** Texts in PNG files: `tEXt` (Latin-1), `zTXt` (the same, compressed) and `iTXt` (UTF-8, maybe compressed). */
import { Unzlib } from "fflate";
import { NijimiError } from "../../errors.ts";
import { concatenate, latin1 } from "../bytes.ts";
import type { Chunk } from "../png/chunks.ts";

/** Compressed texts longer than this are refused. */
const MAX_TEXT = 1 << 24;

/** The texts of a PNG by keyword; of several with one keyword the last counts. */
export function readTexts(chunks: readonly Chunk[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { type, data } of chunks) {
    const end = data.indexOf(0);
    if (!/^[tzi](?:EX|TX)[tT]t?$/.test(type) || end < 1) continue;
    const keyword = latin1(data, 0, end);
    const rest = data.subarray(end + 1);
    if (type === "tEXt") texts.set(keyword, latin1(rest));
    else if (type === "zTXt" && rest[0] === 0)
      texts.set(keyword, latin1(inflateText(rest.subarray(1))));
    else if (type === "iTXt") texts.set(keyword, internationalText(rest));
  }
  return texts;
}

/** After the keyword: compressed or not, method, language, translated keyword, text. */
function internationalText(data: Uint8Array): string {
  const language = data.indexOf(0, 2);
  const translated = language < 0 ? -1 : data.indexOf(0, language + 1);
  const text = translated < 0 ? new Uint8Array(0) : data.subarray(translated + 1);
  return new TextDecoder().decode(data[0] === 1 ? inflateText(text) : text);
}

/** A chunk with a text: Latin-1 where that has all its characters, UTF-8 otherwise, as Pillow writes them. */
export function textChunk(keyword: string, text: string): Chunk {
  const isLatin1 = /^[\0-\xff]*$/.test(text);
  const head = Uint8Array.from(`${keyword}\0`, (character) => character.charCodeAt(0));
  if (isLatin1)
    return {
      type: "tEXt",
      data: concatenate([head, Uint8Array.from(text, (character) => character.charCodeAt(0))]),
    };
  return {
    type: "iTXt",
    data: concatenate([head, Uint8Array.of(0, 0, 0, 0), new TextEncoder().encode(text)]),
  };
}

function inflateText(data: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  const stream = new Unzlib((part) => {
    size += part.length;
    parts.push(part);
  });
  try {
    for (let at = 0; at < data.length && size <= MAX_TEXT; at += 4096)
      stream.push(data.subarray(at, at + 4096), at + 4096 >= data.length);
  } catch (cause) {
    throw new NijimiError(
      "format",
      `PNG: a compressed text is damaged: ${(cause as Error).message}.`,
      { cause },
    );
  }
  if (size > MAX_TEXT)
    throw new NijimiError("memory", `PNG: a compressed text of more than ${MAX_TEXT} bytes.`);
  return concatenate(parts);
}
