import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openClipFolder } from "../../../metrics/networks/clip-folder.ts";
import { loadPipeline } from "../../../pipelines/pipeline.ts";
import { runRecipe } from "../../run/run-recipe.ts";
import { applySettings } from "../../settings.ts";
import { writePictures } from "../../testing/picture-folder.ts";
import { loadRecipe } from "../table.ts";

const UPDATES = 16;
const SMALL_UNET = ["channels=[16,16]", "layersPerBlock=1", "normGroups=8", "heads=2"];
const SMALL_TEXT = ["vocabularySize=600", "textLength=8", "textWidth=64", "textLayers=1"];
const DIFFUSION = ["size=16", "batchSize=6", "decayUpdates=1", "warmupUpdates=0", "learningRate=3e-3", "previewGuidance=2", "process.weighting=none", ...SMALL_UNET, ...SMALL_TEXT]; // prettier-ignore
const AUTOENCODER = ["size=16", "channels=[8,8]", "normGroups=4", "warmupUpdates=0", "decayUpdates=1", "learningRate=3e-3", "batchSize=6", "discriminatorChannels=4", "discriminatorLayers=1", "adversarialStart=3"]; // prettier-ignore
const CLIP = ["size=32", "batchSize=6", "imageWidth=64", "imageLayers=1", "resnetWidth=16", "embedding=32", "warmupUpdates=0", ...SMALL_TEXT]; // prettier-ignore

/** Later ones take what earlier ones trained. */
const CASES: readonly (readonly [run: string, recipe: string, changes: readonly string[]])[] = [
  ["autoencoder", "autoencoder", AUTOENCODER],
  ["vq-autoencoder", "vq-autoencoder", [...AUTOENCODER, "codebook=32"]],
  ["clip", "clip", CLIP],
  ["clip-resnet", "clip", [...CLIP, "imageTower=resnet", "learningRate=3e-4"]],
  ["pixels", "diffusion", [...DIFFUSION, 'previews=["",""]']],
  ["pixels-edm", "diffusion", [...DIFFUSION, "previews=[]", "process.process=edm", "process.norm=huber"]],
  ["pixels-cosine", "diffusion", [...DIFFUSION, "previews=[]", "process.schedule=cosine", "process.prediction=eps", "process.weighting=p2"]],
  ["pixels-class", "diffusion", [...DIFFUSION, "condition=class", 'previews=["disc","square"]']],
  ["pixels-text", "diffusion", [...DIFFUSION, "condition=text", 'previews=["red disc"]']],
  ["latents", "latent-diffusion", [...DIFFUSION, 'previews=[""]', "autoencoder=vq-autoencoder"]],
  ["latents-class", "latent-diffusion", [...DIFFUSION, "condition=class", 'previews=["disc"]', "process.process=flow"]],
  ["latents-text", "latent-diffusion", [...DIFFUSION, "condition=text", "textEncoder=clip", 'previews=["red disc"]']],
]; // prettier-ignore

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "nijimi-recipes-"));
  await writePictures(join(root, "pictures"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Trains; gives the losses of the first player. `until` leaves after that update. */
async function run(
  name: string,
  recipeName: string,
  changes: readonly string[],
  options: { readonly resume?: boolean; readonly until?: number } = {},
): Promise<number[]> {
  const recipe = await loadRecipe(recipeName);
  const settings = applySettings(recipe.settings, [
    `data=${join(root, "pictures")}`,
    `updates=${UPDATES}`,
    ...changes,
  ]);
  const losses: number[] = [];
  for await (const event of runRecipe(recipe, settings, {
    folder: join(root, name),
    threads: 1,
    workers: 0,
    resume: options.resume === true,
  }))
    if (event.type === "step-end") {
      losses.push(Object.values(event.losses)[0]);
      if (event.update === options.until) break;
    }
  return losses;
}

/** All files of a run's model, by name. */
async function modelOf(name: string): Promise<Record<string, string>> {
  const folder = join(root, name, "model");
  const names = (await readdir(folder, { recursive: true })).filter((file) => file.includes("."));
  const contents = names.map(
    async (file) => [file, (await readFile(join(folder, file))).toString("base64")] as const,
  );
  return Object.fromEntries(await Promise.all(contents));
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe("recipes of a user's pictures", () => {
  it.each(CASES)(
    "%s learns, and goes on to the same bits",
    { timeout: 120_000 },
    async (...args) => {
      const [name, recipe, changes] = args;
      const losses = await run(name, recipe, changes);
      expect(losses.length).toBe(UPDATES);
      expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)));
      await run(`${name}-resumed`, recipe, changes, { until: 2 });
      await run(`${name}-resumed`, recipe, changes, { resume: true });
      expect(await modelOf(`${name}-resumed`)).toEqual(await modelOf(name));
    },
  );

  it("latent diffusion from text is a pipeline's folder", async () => {
    const pipeline = await loadPipeline(join(root, "latents-text", "model"));
    expect(pipeline.defaultSize).toBe(16);
    await pipeline.close();
  });

  it("a trained CLIP measures pictures and texts", async () => {
    const clip = await openClipFolder(join(root, "clip", "model"));
    const { features } = await clip.embed([{ width: 32, height: 32, data: new Uint8Array(3072) }]);
    expect(features.shape).toEqual([1, 32]);
    expect((await clip.embedTexts(["red disc", "a blue square"])).shape).toEqual([2, 32]);
    await clip.dispose();
    const other = openClipFolder(join(root, "pictures", "disc"));
    await expect(other).rejects.toThrow("holds no config.json");
  });

  it("says what is missing in the data", async () => {
    await expect(run("no-data", "clip", ["data="])).rejects.toThrow("--set data=FOLDER");
    await expect(run("no-set", "clip", [`data=${join(root, "nothing")}`])).rejects.toThrow(
      "There is nothing at",
    );
  });
});
