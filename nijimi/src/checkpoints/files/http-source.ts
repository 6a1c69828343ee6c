/**
 * A file on a web server, read by HTTP range requests (RFC 9110, section 14), so that opening a
 * checkpoint of gigabytes transfers its header only.
 */
import { NijimiError } from "../../errors.ts";
import { bytesSource, checkRange, cutShort, type ByteSource } from "./byte-source.ts";

/** How {@link httpSource} asks. */
export interface HttpOptions {
  /** @default globalThis.fetch */
  readonly fetch?: typeof fetch;
  /** Sent with every request, e.g. `{ authorization: "Bearer …" }`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Largest file read whole from a server that knows no ranges. @default 2^28 */
  readonly maxWholeBytes?: number;
}

/** Bytes that the first request asks for: enough for most headers. */
const FIRST_BYTES = 65_536;

/**
 * Opens a URL. A server without range requests has its file read whole, up to `maxWholeBytes`.
 *
 * @throws NijimiError `network` when the server does not answer as it should
 */
export async function httpSource(
  url: string | URL,
  options: HttpOptions = {},
): Promise<ByteSource> {
  const name = String(url);
  const first = await request(name, 0, FIRST_BYTES, undefined, options);
  if (first.status === 200) return bytesSource(await readWhole(name, first, options), name);
  const size = await totalSize(name, first, options);
  const start = await bodyOf(name, first, options);
  const tag = strongTag(first);

  async function read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(size, offset, length);
    if (offset + length <= start.length) return start.slice(offset, offset + length);
    if (length === 0) return new Uint8Array(0);
    const response = await request(name, offset, length, tag, options);
    if (response.status !== 206) throw changed(name);
    const bytes = await bodyOf(name, response, options);
    if (bytes.length !== length) throw cutShort(name, offset, length, bytes.length);
    return bytes;
  }

  return { name, size, read, close: async () => {} };
}

async function request(
  name: string,
  offset: number,
  length: number,
  tag: string | undefined,
  { fetch = globalThis.fetch, headers = {}, signal }: HttpOptions,
): Promise<Response> {
  const range = {
    range: `bytes=${offset}-${offset + length - 1}`,
    ...(tag && { "if-range": tag }),
  };
  const response = await reach(name, signal, () =>
    fetch(name, { headers: { ...headers, ...range }, signal }),
  );
  // An empty file has no range at all.
  if (response.status === 416 && offset === 0)
    return new Response(new Uint8Array(0), { status: 200 });
  if (response.ok) return response;
  await response.body?.cancel();
  throw new NijimiError(
    "network",
    `${name} answered ${response.status} ${response.statusText}; check the address and your access to it.`,
  );
}

/** Runs a network operation; what it throws becomes an error of ours. */
async function reach<T>(
  name: string,
  signal: AbortSignal | undefined,
  operation: () => Promise<T>,
): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    if (signal?.aborted)
      throw new NijimiError("cancelled", `Reading ${name} was cancelled.`, { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NijimiError("network", `${name} could not be read: ${reason}.`, { cause });
  }
}

async function bodyOf(
  name: string,
  response: Response,
  { signal }: HttpOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await reach(name, signal, () => response.arrayBuffer()));
}

/** Size of the whole file, from `Content-Range` or, where that is hidden from scripts (CORS), by asking again. */
async function totalSize(name: string, response: Response, options: HttpOptions): Promise<number> {
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (total !== undefined) return Number(total);
  const { fetch = globalThis.fetch, headers, signal } = options;
  const head = await reach(name, signal, () =>
    fetch(name, { method: "HEAD", headers: { ...headers }, signal }),
  );
  const length = head.ok ? head.headers.get("content-length") : null;
  if (length !== null) return Number(length);
  throw new NijimiError(
    "network",
    `${name} does not tell its size: neither Content-Range nor Content-Length can be read.`,
  );
}

/** The body of a server that ignores ranges, given up once it is larger than allowed. */
async function readWhole(
  name: string,
  response: Response,
  options: HttpOptions,
): Promise<Uint8Array> {
  const { maxWholeBytes = 2 ** 28, signal } = options;
  const tooLarge = () =>
    new NijimiError(
      "network",
      `${name} comes from a server without range requests and has more than ${maxWholeBytes} bytes; download the file first.`,
    );
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reach(name, signal, () => reader.read());
    if (done) break;
    size += value.length;
    if (size > maxWholeBytes) {
      await reader.cancel();
      throw tooLarge();
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** The entity tag to compare with in later requests; weak ones do not promise equal bytes. */
function strongTag(response: Response): string | undefined {
  const tag = response.headers.get("etag");
  return tag?.startsWith('"') ? tag : undefined;
}

function changed(name: string): NijimiError {
  return new NijimiError("network", `${name} has changed since it was opened. Open it again.`);
}
