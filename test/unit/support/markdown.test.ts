import assert from "node:assert/strict";
import { anchorsOf, codeSpans, linksIn } from "../../support/markdown.js";

const TEXT = `# Health, reflection, logs

A [link](a.md#b), \`code [x](no.md)\` and [another](#rules).

\`\`\`sh
# no heading, [no link](no.md) \`no span\`
\`\`\`

## Rules
## Rules
`;

describe("support: Markdown", () => {
  it("finds links outside of code", () => assert.deepEqual(linksIn(TEXT), ["a.md#b", "#rules"]));

  it("finds code spans outside of code blocks", () => assert.deepEqual(codeSpans(TEXT), ["code [x](no.md)"]));

  it("makes anchors as GitHub does, each once", () =>
    assert.deepEqual([...anchorsOf(TEXT)], ["health-reflection-logs", "rules", "rules-1"]));
});
