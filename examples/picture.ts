/**
 * Pictures from words by the model that comes along: `npm start -- "red apple" "purple heart"`. Files appear in `out/`.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeImage } from "nijimi/images";
import { embeddedModelUrl, loadPipeline, textToImage } from "nijimi/pipelines";

const words = process.argv.slice(2);
const prompts = words.length > 0 ? words : ["red apple"];
const folder = join(import.meta.dirname, "../out");
await mkdir(folder, { recursive: true });

const pipeline = await loadPipeline(embeddedModelUrl());
for (const prompt of prompts)
  for await (const event of textToImage(pipeline, { prompt, seed: 1 }))
    if (event.type === "step-end") process.stderr.write(`\r${prompt}: step ${event.step + 1}`);
    else if (event.type === "image-ready") {
      const file = join(folder, `${prompt.replaceAll(/\W+/g, "-")}.png`);
      await writeImage(file, event.image);
      process.stderr.write("\n");
      console.log(file);
    }
await pipeline.close();
