// PDFs made here: of text, and of what the edge must not choke on.

import { deflateSync } from "node:zlib";

/** A PDF of these objects, the first of which is its catalog. */
export function pdf(objects) {
  let file = Buffer.from("%PDF-1.7\n");
  const offsets = objects.map((object, i) => {
    const at = file.length;
    file = Buffer.concat([file, Buffer.from(`${i + 1} 0 obj\n`), Buffer.from(object), Buffer.from("\nendobj\n")]);
    return at;
  });
  const table = offsets.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("");
  const end = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${file.length}\n%%EOF\n`;
  return Buffer.concat([file, Buffer.from(end)]);
}

/** A stream; `dict` is what its dictionary has beside the length. */
export function stream(content, dict = "") {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from(`<<${dict}/Length ${bytes.length}>>stream\n`), bytes, Buffer.from("\nendstream")]);
}

/** A stream that is packed. */
export const packed = (content, dict = "") => stream(deflateSync(Buffer.from(content)), `${dict}/Filter/FlateDecode`);

const FONT = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";
const BOLD = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>";

/** Pages of A4 with these contents; `resources` beside fonts, and `more` objects from number 20 on. `boxes` of pages that
 * are no A4. */
export function sheets(contents, { resources = "", fonts = `/F1 ${FONT}/F2 ${BOLD}`, more = [], boxes = [] } = {}) {
  const kids = contents.map((_, i) => 3 + 2 * i);
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    `<</Type/Pages/Count ${kids.length}/Kids[${kids.map((kid) => `${kid} 0 R`).join(" ")}]>>`,
    ...contents.flatMap((content, i) => [
      `<</Type/Page/Parent 2 0 R/MediaBox[${boxes[i] ?? "0 0 595 842"}]/Contents ${kids[i] + 1} 0 R/Resources<</Font<<${fonts}>>${resources}>>>>`,
      packed(content),
    ]),
  ];
  if (more.length > 0) {
    while (objects.length < 19) objects.push("null");
    objects.push(...more);
  }
  return pdf(objects);
}

const line = (x, y, size, text, font = "F1") => `BT /${font} ${size} Tf ${x} ${y} Td (${text}) Tj ET\n`;

/** A page of a report: a title, paragraphs, a list and a table with rules. */
export function report(number) {
  let page = line(72, 770, 20, `Harbour report ${number}`, "F2");
  const paragraph = [
    "The port authority resumed dredging of the northern channel in March.",
    "Two vessels were diverted while the work went on, and neither was late.",
    "Depth at the pier is now eleven metres at low water, one more than before.",
  ];
  paragraph.forEach((text, i) => (page += line(72, 730 - 14 * i, 11, text)));
  page += line(72, 660, 14, "What remains to be done", "F2");
  ["Mark the new channel with buoys", "Repair the eastern mole", "Publish the charts"].forEach(
    (text, i) => (page += line(90, 630 - 16 * i, 11, `${i + 1}. ${text}`)),
  );
  const rows = [
    ["Berth", "Depth", "Vessels"],
    ["North", "11.0", "42"],
    ["South", "9.5", "17"],
  ];
  rows.forEach((row, r) => row.forEach((text, c) => (page += line(78 + 120 * c, 540 - 20 * r, 11, text))));
  for (let i = 0; i <= 3; i++) {
    page += `0.7 w 72 ${554 - 20 * i} m 432 ${554 - 20 * i} l S\n${72 + 120 * i} 554 m ${72 + 120 * i} 494 l S\n`;
  }
  return page;
}

/** A report whose font says of every character that it is the next one. */
export function lying() {
  const map = [
    "/CIDInit/ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def",
    "1 begincodespacerange <00><FF> endcodespacerange",
    "1 beginbfrange <20><7D><0021> endbfrange endcmap end end",
  ].join("\n");
  const font = FONT.replace(">>", "/ToUnicode 20 0 R>>");
  return sheets([report(1)], { fonts: `/F1 ${font}/F2 ${font}`, more: [stream(map)] });
}

/** A page that is a picture. */
export function scan(jpeg, width, height) {
  const image = stream(jpeg, `/Type/XObject/Subtype/Image/Width ${width}/Height ${height}/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode`);
  return sheets([`595 0 0 842 0 0 cm /I Do`], { resources: "/XObject<</I 20 0 R>>", more: [image] });
}

/** A report with a picture beside its text. */
export function illustrated(jpeg, width, height) {
  const image = stream(jpeg, `/Type/XObject/Subtype/Image/Width ${width}/Height ${height}/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode`);
  return sheets([`${report(1)}q 300 0 0 200 72 200 cm /I Do Q`], { resources: "/XObject<</I 20 0 R>>", more: [image] });
}

/** Forms that draw one another, twice each: as many times as two to their number. */
export function nested(depth) {
  const form = (i) =>
    stream(
      i + 1 < depth ? `/X${i + 1} Do /X${i + 1} Do` : "0 0 1 1 re f",
      `/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</XObject<</X${i + 1} ${21 + i} 0 R>>>>`,
    );
  return sheets([`${report(1)}/X0 Do`], {
    resources: "/XObject<</X0 20 0 R>>",
    more: Array.from({ length: depth }, (_, i) => form(i)),
  });
}
