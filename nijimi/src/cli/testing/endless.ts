/** A nijimi with one command that goes on until it is stopped; with `--deaf` it does not listen. */
import { defineCommand } from "../command.ts";
import { main } from "../main.ts";

const command = defineCommand({
  description: "Go on",
  options: { deaf: { type: "boolean", description: "Do not listen" } },
  examples: [],
  async run({ deaf }, { signal, say }) {
    const timer = setInterval(() => {}, 1000);
    say("ready");
    await new Promise<void>((resolve) => {
      if (!deaf) signal.addEventListener("abort", () => resolve());
    });
    clearInterval(timer);
    say("cleaned up");
  },
});

await main({ go: { description: command.description, load: async () => ({ command }) as never } });
