/** Both sides of the protocol over a channel: the same picture, errors, cancelling. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadPipeline } from "../pipeline.ts";
import { allImages } from "../events.ts";
import { textToImage } from "../text-to-image.ts";
import { connectPipelines, type PipelineWorker, type WorkerPipeline } from "./connect.ts";
import type { PickedFolder } from "./protocol.ts";
import { servePipelines } from "./serve.ts";

const FOLDER = fileURLToPath(
  new URL("../../../../conformance/cases/pipelines/sd2/diffusers", import.meta.url),
);
const REQUEST = { prompt: "a red cat", steps: 3, seed: 7, width: 32, height: 32 };

/** As a folder picker gives it. */
const picked: PickedFolder = {
  name: "sd2",
  files: readdirSync(FOLDER, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((path) => ({
      path: relative(FOLDER, path).split(sep).join("/"),
      file: new Blob([readFileSync(path)]),
    })),
};

const { port1, port2 } = new MessageChannel();
let pipelines: PipelineWorker;
let model: WorkerPipeline;
beforeAll(async () => {
  servePipelines(port2 as never);
  pipelines = connectPipelines(port1 as never);
  model = await pipelines.load(picked);
});
afterAll(() => port1.close());

test("makes the picture that the library makes", async () => {
  expect(model).toMatchObject({ isSdxl: false, sizeFactor: 8 });
  const types: string[] = [];
  const [there] = await allImages(
    model.run("textToImage", { ...REQUEST, preview: { every: 2 } }),
    ({ type }) => types.push(type),
  );
  expect(types.filter((type) => type === "step-end")).toHaveLength(3);
  expect(types.filter((type) => type === "step-preview")).toHaveLength(2);

  const local = await loadPipeline(FOLDER);
  const [here] = await allImages(textToImage(local, REQUEST));
  await local.close();
  expect(there.image.data.length).toBe(here.image.data.length);
  expect(there.image.data.every((value, i) => Math.abs(value - here.image.data[i]) <= 1)).toBe(
    true,
  );
  expect(there.recipe).toMatchObject({ prompt: "a red cat", seed: 7 });
});

test("passes errors on with their code", async () => {
  const run = allImages(model.run("textToImage", { ...REQUEST, width: 33 }));
  await expect(run).rejects.toMatchObject({ name: "NijimiError", code: "option" });
  const callback = { ...REQUEST, loras: [(() => 1) as never] };
  await expect(allImages(model.run("textToImage", callback))).rejects.toThrow(/cannot be sent/);
});

test("stops when the signal fires, and when nobody listens any more", async () => {
  const controller = new AbortController();
  const seen: number[] = [];
  const stopped = allImages(
    model.run("textToImage", { ...REQUEST, steps: 50 }, controller),
    (event) => {
      if (event.type === "step-end") seen.push(event.step);
      controller.abort();
    },
  );
  await expect(stopped).rejects.toMatchObject({ code: "cancelled" });
  expect(seen.length).toBeLessThan(5);

  for await (const event of model.run("textToImage", { ...REQUEST, steps: 50 }))
    if (event.type === "step-end") break;
  const [image] = await allImages(model.run("textToImage", REQUEST));
  expect(image.image.width).toBe(32);
});

test("closes a model", async () => {
  await model.close();
  await expect(allImages(model.run("textToImage", REQUEST))).rejects.toThrow(/was closed/);
});
