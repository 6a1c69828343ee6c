/**
 * Where the bytes of a file come from: disk, network, a browser's `File`, memory. Readers ask for the
 * ranges they need; nobody reads a checkpoint whole.
 */
import { invariant, NijimiError } from "../../errors.ts";

/** Bytes that can be read at any position. */
export interface ByteSource {
  /** For messages: a path, a URL, the name of a `File`. */
  readonly name: string;
  /** Number of bytes. */
  readonly size: number;
  /** Absolute path, when the bytes are those of a file on this machine. */
  readonly path?: string;
  /** Exactly `length` bytes from `offset` on. They may share memory with the source: do not write to them. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** Bytes that are in memory. */
export function bytesSource(bytes: Uint8Array | ArrayBuffer, name = "bytes in memory"): ByteSource {
  const view = (
    bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  ) as Uint8Array<ArrayBuffer>;
  return {
    name,
    size: view.length,
    read: async (offset, length) => {
      checkRange(view.length, offset, length);
      return view.subarray(offset, offset + length);
    },
    close: async () => {},
  };
}

/** A `Blob` or `File`, as a browser's file picker gives it. */
export function blobSource(
  blob: Blob,
  name = "name" in blob ? String(blob.name) : "blob",
): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (offset, length) => {
      checkRange(blob.size, offset, length);
      const bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      if (bytes.length !== length) throw cutShort(name, offset, length, bytes.length);
      return bytes;
    },
    close: async () => {},
  };
}

/** Reading beyond the end is a mistake of the reader: it knows the size and has to check what a file claims. */
export function checkRange(size: number, offset: number, length: number): void {
  const fits =
    Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  invariant(fits && offset + length <= size, `bytes ${offset}+${length} asked of ${size}`);
}

/** The error for a source that gave fewer bytes than its size promised. */
export function cutShort(name: string, offset: number, expected: number, got: number): NijimiError {
  return new NijimiError(
    "file",
    `${name} gave ${got} of the ${expected} bytes at ${offset}; it has changed since it was opened. Open it again.`,
  );
}
