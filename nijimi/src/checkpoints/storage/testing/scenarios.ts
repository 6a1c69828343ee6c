/**
 * What happens to a store of models on a bad network, in a real worker on the browser's real file system. Posts the
 * outcomes; `model-store.browser.test.ts` says what they should be.
 */
import { isNijimiError } from "../../../errors.ts";
import { float32 } from "../../../tensor/tensor.ts";
import { writeSafetensors } from "../../safetensors.ts";
import { type ModelFile, openModelStore } from "../model-store.ts";

/** Weights of about 800 KB. */
function weights(value: number): Uint8Array<ArrayBuffer> {
  const data = Array.from({ length: 200_000 }, (_, i) => (value + i) % 251);
  return new Uint8Array(writeSafetensors({ w: float32([200_000], data) }));
}

const [ours, theirs] = [weights(1), weights(2)];
const asked: (string | null)[] = [];

interface Server {
  /** Bytes after which the connection breaks. */
  readonly breaksAfter?: number;
  readonly hasRanges?: boolean;
}

/** Answers like a server of files, and notes the ranges that it is asked for. */
function serve(
  file: Uint8Array<ArrayBuffer>,
  { breaksAfter = Infinity, hasRanges = true }: Server = {},
) {
  const get = async (_url: unknown, init?: RequestInit): Promise<Response> => {
    const range = new Headers(init?.headers).get("range");
    asked.push(range);
    const start = hasRanges ? Number(/\d+/.exec(range ?? "0")?.[0]) : 0;
    let at = start;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at - start >= breaksAfter) return controller.error(new TypeError("connection lost"));
        if (at >= file.length) return controller.close();
        controller.enqueue(file.slice(at, at + 50_000));
        at += 50_000;
      },
    });
    const headers: Record<string, string> =
      hasRanges && range !== null
        ? { "content-range": `bytes ${start}-${file.length - 1}/${file.length}` }
        : { "content-length": String(file.length) };
    return new Response(body, { status: hasRanges && range !== null ? 206 : 200, headers });
  };
  return { fetch: get as typeof fetch };
}

const full: StorageManager = {
  getDirectory: () => navigator.storage.getDirectory(),
  estimate: async () => ({ usage: 900_000, quota: 1_000_000 }),
  persisted: async () => false,
  persist: async () => false,
};

async function outcomes(): Promise<Record<string, unknown>> {
  const store = await openModelStore({ folder: "test-models" });
  for (const { name } of await store.list()) await store.remove(name);
  const save = async (
    name: string,
    http: { fetch: typeof fetch },
    more: Partial<ModelFile> = {},
  ) => {
    const steps: number[] = [];
    asked.length = 0;
    try {
      const file: ModelFile = { path: "w.safetensors", from: `https://host/${name}`, ...more };
      for await (const { done } of store.save(name, [file], { http })) steps.push(done);
      return { asked: [...asked], steps };
    } catch (error) {
      if (!isNijimiError(error)) throw error;
      return { code: error.code, message: error.message, asked: [...asked] };
    }
  };
  const content = async (name: string) => {
    const bytes = new Uint8Array(await ((await store.open(name)) as File).arrayBuffer());
    const same = (file: Uint8Array) =>
      bytes.length === file.length && bytes.every((b, i) => b === file[i]);
    return same(ours) ? "ours" : same(theirs) ? "theirs" : "neither";
  };
  const page = new TextEncoder().encode("<!doctype html><title>Log in</title>".repeat(20));
  const small = await openModelStore({ folder: "test-models", storage: full });
  return {
    length: ours.length,
    interrupted: await save("a", serve(ours, { breaksAfter: 300_000 })),
    partly: await store.list(),
    incomplete: await store.open("a").catch((error: Error) => error.message),
    resumed: await save("a", serve(ours)),
    again: await save("a", serve(ours)),
    whole: await content("a"),
    before: await save("b", serve(ours, { breaksAfter: 300_000 })),
    changed: await save("b", serve(theirs)),
    other: await content("b"),
    broken: await save("c", serve(ours, { breaksAfter: 300_000, hasRanges: false })),
    rangeless: await save("c", serve(ours, { hasRanges: false })),
    rangelessContent: await content("c"),
    hash: await save("d", serve(ours), { sha256: "0".repeat(64) }),
    page: await save("e", serve(page as Uint8Array<ArrayBuffer>)),
    full: await small
      .save("f", [{ path: "w.safetensors", from: new Blob([ours]) }])
      .next()
      .catch((error: Error) => error.message),
    picked: await save("g", serve(ours), { from: new File([ours], "w.safetensors") }),
    names: (await store.list()).filter(({ isComplete }) => isComplete).map(({ name }) => name),
    unknown: await store.open("z").catch((error: Error) => error.message),
  };
}

postMessage(await outcomes().catch((error: unknown) => ({ error: String(error) })));
