/** Runs the tiny recipe in a process of its own: `run-tiny.ts FOLDER DELAY [resume]`. For tests that kill it. */
import { runRecipe } from "../run/run.node.ts";
import { tinyRecipe } from "./tiny-recipe.ts";

const [folder, delay, resume] = process.argv.slice(2);
const settings = { ...tinyRecipe.settings, delay: Number(delay) };
for await (const event of runRecipe(tinyRecipe, settings, {
  folder,
  resume: resume === "resume",
  checkpointMinutes: 0,
  threads: 1,
}))
  if (event.type === "step-end") process.stdout.write(`${event.update}\n`);
