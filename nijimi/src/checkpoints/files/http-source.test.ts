import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { httpFolder } from "./folder.ts";
import { httpSource } from "./http-source.ts";

const CONTENT = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 256);

interface Behaviour {
  readonly ranges?: boolean;
  readonly etag?: () => string;
}

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** Serves CONTENT at /file; gives the address and the ranges asked for. */
async function serve({ ranges = true, etag }: Behaviour = {}) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers.range ?? request.method!);
    if (request.url !== "/file") return response.writeHead(404).end();
    const tag = etag?.();
    if (tag !== undefined) response.setHeader("etag", tag);
    const fresh = request.headers["if-range"] === undefined || request.headers["if-range"] === tag;
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (!ranges || !range || !fresh) return response.writeHead(200).end(CONTENT);
    const [begin, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, CONTENT.length)];
    response.writeHead(206, { "content-range": `bytes ${begin}-${end - 1}/${CONTENT.length}` });
    return response.end(CONTENT.subarray(begin, end));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

describe("httpSource", () => {
  it("transfers the ranges that are read", async () => {
    const { base, asked } = await serve();
    const source = await httpSource(`${base}/file`);
    expect(source.size).toBe(CONTENT.length);
    expect(await source.read(8, 100)).toEqual(CONTENT.slice(8, 108));
    expect(await source.read(150_000, 1000)).toEqual(CONTENT.slice(150_000, 151_000));
    expect(asked).toEqual(["bytes=0-65535", "bytes=150000-150999"]);
  });

  it("reads the file whole where the server knows no ranges", async () => {
    const { base } = await serve({ ranges: false });
    const source = await httpSource(`${base}/file`);
    expect(await source.read(199_990, 10)).toEqual(CONTENT.slice(199_990));
    await expect(httpSource(`${base}/file`, { maxWholeBytes: 1000 })).rejects.toThrow(
      "more than 1000 bytes",
    );
  });

  it("notices that the file has changed", async () => {
    let version = 1;
    const { base } = await serve({ etag: () => `"${version}"` });
    const source = await httpSource(`${base}/file`);
    version = 2;
    await expect(source.read(150_000, 10)).rejects.toThrow("has changed since it was opened");
  });

  it("says what the server answered, and that there is no server", async () => {
    const { base } = await serve();
    await expect(httpSource(`${base}/none`)).rejects.toMatchObject({ code: "network" });
    await expect(httpSource(`${base}/none`)).rejects.toThrow("answered 404");
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
    await expect(httpSource(`${base}/file`)).rejects.toMatchObject({ code: "network" });
  });

  it("stops when it is told to", async () => {
    const { base } = await serve();
    const signal = AbortSignal.abort();
    await expect(httpSource(`${base}/file`, { signal })).rejects.toMatchObject({
      code: "cancelled",
    });
  });
});

describe("httpFolder", () => {
  it("opens files below its address and no others", async () => {
    const { base } = await serve();
    const folder = httpFolder(base);
    expect((await folder.open("file"))?.size).toBe(CONTENT.length);
    expect(await folder.open("none")).toBeUndefined();
    await expect(folder.open("../file")).rejects.toMatchObject({ code: "unsafe" });
  });
});
