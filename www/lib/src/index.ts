export { canRead, OcrClient, type ClientCall, type ClientOptions } from "./client.ts";
export { Documents, PdfFile, type Source, type Written } from "./documents.ts";
export { cancelled, isCancelled, OcrError } from "./errors.ts";
export { emptied } from "./frame.ts";
export { fileStem, FORMATS, toJson, toMarkdown, toText, uniqueNames, type Format } from "./export.ts";
export { ModelStore, type ModelFile, type MoreModels, type StoredModel, type Usage } from "./models.ts";
export { findAdapter, judge, type Adapter, type GpuOptions, type Trial } from "./gpu.ts";
export { calendar, findings, type Finding } from "./findings.ts";
export { coloursOf, type Colours } from "./colours.ts";
export { Flow, type Motion } from "./flow.ts";
export { applied, appliedToQuad, composed, inverted, matrix3d, ontoQuad, type Homography } from "./homography.ts";
export { grey, type Grey } from "./motion.ts";
export { blockStarts, placed, points, sureness, type PlacedWord, type Sureness } from "./overlay.ts";
export { LARGEST, pace, type Pace } from "./pace.ts";
export { RemoteClient, type RemoteOptions } from "./remote.ts";
export { route, type Conditions } from "./route.ts";
export { findLines, folded, lineOffsets, spacedWords, withLine, withText } from "./text.ts";
export { lineOf, textOf, wordAt, wordsOf, type SelectableWord, type WordRange } from "./selection.ts";
export { type Look } from "./flatten.ts";
export { convex, SOUGHT } from "./sheet.ts";
export { Sheets, type FlatSheet } from "./sheets.ts";
export { joined, type Strip } from "./strips.ts";
export {
  escapedHtml,
  isFurniture,
  nested,
  regionsHtml,
  regionsText,
  rowsOf,
  tableHtml,
  tablesIn,
  tableTsv,
  type Nested,
} from "./structured.ts";
export { legibility, looksSideways } from "./sideways.ts";
export { bounds, Tracks, type Seen, type Track } from "./tracks.ts";
export { EXPORTS, write, type Contents, type ExportName } from "./write.ts";
export type * from "./types.ts";
