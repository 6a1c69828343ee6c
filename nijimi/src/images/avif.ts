/** AVIF files as ISO boxes: just enough to know the size before anything is decoded. */
import { NijimiError } from "../errors.ts";
import { fourLetters } from "./bytes.ts";
import { checkSize, type ImageLimits } from "./limits.ts";

interface IsoBox {
  readonly type: string;
  readonly data: Uint8Array;
}

/** True for bytes that begin as an AVIF. */
export function isAvif(bytes: Uint8Array): boolean {
  if (fourLetters(bytes, 4) !== "ftyp" || bytes.length < 16) return false;
  const size = Math.min(bytes.length, new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
  for (let at = 8; at + 4 <= size; at += 4)
    if (/^avi[fs]$/.test(fourLetters(bytes, at))) return true;
  return false;
}

/**
 * The largest size that any item of the file states.
 *
 * @throws NijimiError `format` when no size is found, `memory` when it is larger than allowed
 */
export function readAvifHeader(
  bytes: Uint8Array,
  limits: ImageLimits,
): { readonly width: number; readonly height: number } {
  const meta = find(boxes(bytes), "meta");
  const properties = meta && find(boxes(meta.subarray(4)), "iprp");
  const container = properties && find(boxes(properties), "ipco");
  const sizes = (container ? boxes(container) : [])
    .filter(({ type, data }) => type === "ispe" && data.length >= 12)
    .map(({ data }) => {
      const view = new DataView(data.buffer, data.byteOffset);
      return { width: view.getUint32(4), height: view.getUint32(8) };
    });
  if (sizes.length === 0)
    throw new NijimiError(
      "format",
      "AVIF: the file states no picture's size; it is cut off or damaged.",
    );
  for (const { width, height } of sizes) checkSize("AVIF", width, height, limits);
  return sizes.reduce((largest, size) =>
    size.width * size.height > largest.width * largest.height ? size : largest,
  );
}

function find(all: readonly IsoBox[], type: string): Uint8Array | undefined {
  return all.find((box) => box.type === type)?.data;
}

/** The boxes of a container; what reaches beyond it ends the list. */
function boxes(bytes: Uint8Array): IsoBox[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: IsoBox[] = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const size = view.getUint32(at) || bytes.length - at;
    if (size < 8 || size > bytes.length - at) break;
    found.push({ type: fourLetters(bytes, at + 4), data: bytes.subarray(at + 8, at + size) });
    at += size;
  }
  return found;
}
