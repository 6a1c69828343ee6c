/** Tar archives, plain or gzipped, as a stream of their files; nothing is unpacked to disk. */
import { createTarDecoder } from "modern-tar";
import type { ByteSource } from "../../checkpoints/files/byte-source.ts";
import { NijimiError } from "../../errors.ts";

/** A file inside an archive. */
export interface TarFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Bytes read from the source at a time. */
const CHUNK = 2 ** 20;
/** Largest single file that is read: pictures and captions are small, a damaged header may claim anything. */
const MAX_FILE = 2 ** 30;

/**
 * The regular files of an archive, in order.
 *
 * @throws NijimiError `format` when the archive is damaged or cut short
 */
export async function* readTar(source: ByteSource): AsyncGenerator<TarFile> {
  const zipped = await isGzip(source);
  const bytes = byteStream(source);
  const plain = zipped ? bytes.pipeThrough(new DecompressionStream("gzip")) : bytes;
  const entries = plain.pipeThrough(createTarDecoder({ strict: true })).getReader();
  try {
    for (;;) {
      const { done, value } = await entries.read();
      if (done) return;
      const { header, body } = value;
      if (header.type !== "file") {
        await body.cancel();
        continue;
      }
      if (header.size > MAX_FILE)
        throw new NijimiError(
          "format",
          `${header.name} claims ${header.size} bytes; at most ${MAX_FILE} are read.`,
        );
      yield { name: header.name, bytes: new Uint8Array(await new Response(body).arrayBuffer()) };
    }
  } catch (cause) {
    if (cause instanceof NijimiError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NijimiError("format", `${source.name} is not a whole tar archive: ${reason}`, {
      cause,
    });
  } finally {
    await entries.cancel().catch(() => {});
  }
}

async function isGzip(source: ByteSource): Promise<boolean> {
  if (source.size < 2) return false;
  const [first, second] = await source.read(0, 2);
  return first === 0x1f && second === 0x8b;
}

/** The whole source from front to back. */
function byteStream(source: ByteSource): ReadableStream<Uint8Array<ArrayBuffer>> {
  let offset = 0;
  return new ReadableStream({
    async pull(controller) {
      const length = Math.min(CHUNK, source.size - offset);
      if (length === 0) return controller.close();
      controller.enqueue(await source.read(offset, length));
      offset += length;
    },
  });
}
