/** The built package bundled into a page of its own, in a real Chromium, with and without isolation headers. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findBrowser } from "../scripts/browser/find-browser.ts";
import { BROWSER_FLAGS, ISOLATION_HEADERS } from "../scripts/browser/launch-options.ts";

const page = fileURLToPath(new URL("consumer/page.js", import.meta.url));
const engine = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

let bundle: Uint8Array;
let browser: Browser;

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [page],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
  });
  bundle = outputFiles[0].contents;
  browser = await chromium.launch({ executablePath: findBrowser(), args: [...BROWSER_FLAGS] });
});
afterAll(() => browser?.close());

/** Serves the bundle with the engine's WASM beside it, as a deployed page would be. */
async function serve(headers: Readonly<Record<string, string>>): Promise<Server> {
  const server = createServer((request, response) => {
    const name = basename(request.url ?? "/");
    const send = (type: string, body: string | Uint8Array) =>
      response.writeHead(200, { ...headers, "Content-Type": type }).end(body);
    if (name === "page.js") send("text/javascript", bundle);
    else if (name.endsWith(".wasm")) send("application/wasm", readFileSync(join(engine, name)));
    else if (name.endsWith(".mjs")) send("text/javascript", readFileSync(join(engine, name)));
    else send("text/html", '<!doctype html><script type="module" src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

it.each([
  ["with isolation headers", ISOLATION_HEADERS, true],
  ["without them", {}, false],
] as const)(
  "computes the same on every device of the browser %s",
  async (_name, headers, isolated) => {
    const server = await serve(headers);
    try {
      const tab = await browser.newPage();
      await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      await tab.waitForFunction("globalThis.seen !== undefined");
      const seen = await tab.evaluate("globalThis.seen");
      await tab.close();
      const values = [12, 24, 36, 48];
      expect(seen).toEqual({
        devices: ["wasm", "webgpu"],
        values: { wasm: values, webgpu: values },
        isolated,
      });
    } finally {
      server.close();
    }
  },
);
