#!/usr/bin/env python3
"""Makes what a person brings in an hour: a scanned book, a bank statement, a paper, a Chinese contract and slides.

  pip install typst pypdfium2 pillow numpy
  hour.py OUT [BOOK.txt]

The book is 300 pages of BOOK.txt, plain text with lines `Chapter N` (`docs/documents.md` used Pride and Prejudice, which
Debian carries in r-cran-janeaustenr); without it there is no book. Its pages and the contract's are scans: pictures,
slightly turned, shaded and noisy. Fonts: the ones of typst, and Noto CJK. Every run makes the same pages.
"""

import re
import sys
from pathlib import Path

import numpy
import pypdfium2
import typst
from PIL import Image, ImageFilter

PAPER = r"""
#set page("a4", columns: 2, margin: (x: 18mm, y: 20mm), numbering: "1")
#set text(font: "New Computer Modern", size: 9.5pt, lang: "en")
#set par(justify: true, first-line-indent: 1em)
#set heading(numbering: "1.1")
#show heading: set text(10.5pt)
#show table.cell.where(y: 0): strong
#place(top + center, scope: "parent", float: true)[
  #text(16pt, weight: "bold")[How Slowly Does Ink Dry? \ A Study of Nineteen Fountain Pens]
  #v(2mm)
  #grid(columns: 2, gutter: 14mm, [Ada Thornbury \ _University of Eastmere_], [Jonas Hill \ _Hill Instruments_])
  #v(2mm)
  #block(width: 84%)[#set par(first-line-indent: 0pt)
    *Abstract.* We time how long nineteen inks stay wet on four papers and find that the paper explains more than the
    ink does. A model with two parameters predicts the drying time within 1.8 seconds. We publish all measurements.]
  #v(3mm)
]
= Introduction
Everybody who writes with a fountain pen has smudged a signature. Manufacturers name inks “quick-drying”, yet the term
is defined nowhere.#footnote[The only standard that mentions drying, for stamp pads, asks for “a reasonable time”.] #lorem(70)

#lorem(60)
= Method
== Apparatus
A stepper motor draws a cotton wheel across a line of ink at fixed intervals. #lorem(55)
+ Draw a line of 60 mm with a steel nib.
+ Wait for a multiple of two seconds.
+ Wipe, photograph, and measure the smear.
== Model
We describe the wet fraction $w$ after the time $t$ by
$ w(t) = exp(-(t / tau)^beta), quad tau = tau_0 (1 + alpha h) $ <model>
where $h$ is the relative humidity. #lorem(50)
#figure(
  table(columns: 4, stroke: none, align: (left, right, right, right),
    table.hline(), [Paper], [Weight], [$tau_0$ in s], [$beta$], table.hline(stroke: .5pt),
    [Newsprint], [45], [2.1], [1.32], [Copier], [80], [6.4], [1.18], [Laid], [100], [9.7], [1.09],
    [Coated], [115], [31.5], [0.94], table.hline()),
  caption: [Fitted parameters for each paper.],
)
= Results
#lorem(80)
#figure(
  box(width: 100%, height: 42mm, stroke: .5pt, {
    for (i, h) in (9, 14, 20, 27, 33, 36).enumerate() {
      place(bottom + left, dx: 8mm + i * 11mm, rect(width: 7mm, height: h * 1mm, fill: luma(90 + i * 22)))
    }
  }),
  caption: [Mean drying time by paper, shortest to longest.],
)
#lorem(110)
- Cheap papers dry fast and feather.
- Coated papers stay wet for half a minute.
- Humidity above 70 % doubles every time.
= Discussion
#lorem(150)
= Conclusion
#lorem(70)
#heading(numbering: none)[References]
#set enum(numbering: "[1]")
+ A. Thornbury. _Notes on Wet Paper_. Eastmere Press, 2019.
+ J. Hill and R. Okafor. Capillary flow in laid stock. _Journal of Stationery_, 12(3):44–61, 2021.
"""

STATEMENT = r"""
#set page("a4", margin: 18mm, footer: context [#set text(7.5pt)
  Harbour Savings Bank plc, 4 Quay Street, Eastmere. #h(1fr) Page #counter(page).display() of 3])
#set text(font: "DejaVu Sans Mono", size: 8pt)
#grid(columns: (1fr, auto), text(15pt, weight: "bold")[Harbour Savings Bank], align(right)[Statement 7 / 2026 \ 31 July 2026])
#v(6mm)
Ms Clara Whitfield \ 27 Mill Lane \ Eastmere EM4 2QT
#v(6mm)
#text(11pt, weight: "bold")[Account statement]
#v(2mm)
#grid(columns: (36mm, 60mm), row-gutter: 2mm, [Account number], [0045 7719 03], [Sort code], [20-77-41],
  [Period], [1 July to 31 July 2026], [Opening balance], [£ 2,418.60])
#v(4mm)
#table(columns: (20mm, 1fr, 25mm, 25mm, 27mm), stroke: none, inset: (y: 1.7mm), align: (left, left, right, right, right),
  table.header(table.hline(), [*Date*], [*Description*], [*Paid out*], [*Paid in*], [*Balance*], table.hline()),
  ..(ROWS),
  table.hline(), [], [*Closing balance*], [], [], [*CLOSE*])
Please check every entry. Tell us within 13 months if you do not recognise a payment.
"""

SLIDES = r"""
#set page(width: 254mm, height: 142.9mm, margin: 16mm, footer: context align(right, text(10pt, gray)[#counter(page).display()]))
#set text(font: "DejaVu Sans", size: 18pt)
#show heading: it => { pagebreak(weak: true); text(28pt, rgb("#1b4f72"), it.body); v(4mm) }
#set page(fill: rgb("#1b4f72"))
#set text(white)
#v(28mm)
#text(38pt, weight: "bold")[Moving the Archive]
#v(2mm)
Quarterly review, autumn 2026 \ Clara Whitfield
#set page(fill: white)
#set text(black)
= Where we stand
- 41,000 boxes counted, 38,200 moved
- Two lorries instead of three
  - the third returns in October
  - no delay expected
- Reading room open since Monday
= Cost against plan
#table(columns: (1fr, 38mm, 38mm, 38mm), inset: 4mm, align: (left, right, right, right),
  fill: (x, y) => if y == 0 { rgb("#d6eaf8") },
  [*Item*], [*Plan*], [*Actual*], [*Change*], [Transport], [£ 48,000], [£ 44,150], [−8 %],
  [Shelving], [£ 31,500], [£ 33,020], [+5 %], [Climate control], [£ 12,000], [£ 12,000], [0 %], [*Total*], [*£ 91,500*], [*£ 89,170*], [*−3 %*])
= Two sites, one catalogue
#grid(columns: 2, gutter: 12mm,
  [*Old building* \ Closed stacks, paper slips, one lift. Requests take two days.],
  [*New building* \ Open shelves, scanned slips, four lifts. Requests take twenty minutes.])
#v(6mm)
#align(center, box(fill: rgb("#fcf3cf"), inset: 6mm)[Decision needed: do we keep the paper slips?])
= Next steps
+ Finish the last 2,800 boxes by 15 October
+ Train eleven volunteers
+ Hand back the old keys
#v(8mm)
Questions: archive\@eastmere.example
"""

CONTRACT = r"""
#set page("a4", margin: 25mm, numbering: "第 1 页")
#set text(font: "Noto Serif CJK SC", size: 11.5pt, lang: "zh")
#set par(justify: true, first-line-indent: (amount: 2em, all: true), leading: 1.1em)
#show heading: set text(12.5pt)
#align(center, text(20pt, weight: "bold")[房屋租赁合同])
#align(right)[合同编号：DM-2026-0731]
甲方（出租方）：林海文化有限公司 \ 乙方（承租方）：陈晓明

根据《中华人民共和国民法典》及有关法律、法规的规定，甲乙双方在平等、自愿、协商一致的基础上，就房屋租赁事宜订立本合同。
= 第一条　房屋基本情况
甲方将位于东湖市梅园路 27 号 3 单元 502 室的房屋出租给乙方居住使用，建筑面积为 86.5 平方米。房屋内的家具、电器及其状况见本合同附件。
= 第二条　租赁期限
租赁期自 2026 年 8 月 1 日起至 2028 年 7 月 31 日止，共计二十四个月。租赁期满前三十日，乙方要求续租的，应当书面通知甲方。
= 第三条　租金及支付方式
租金按季度支付，乙方应当在每季度第一个月的五日前将租金汇入甲方指定的账户。各项费用如下：
#table(columns: (2fr, 1fr, 1.4fr, 2fr), inset: 2.4mm, align: center + horizon,
  [*项目*], [*单位*], [*金额（元）*], [*承担方*], [月租金], [元/月], [4,800.00], [乙方],
  [押金], [一次性], [9,600.00], [乙方（期满退还）], [物业管理费], [元/月], [216.25], [甲方], [水、电、燃气], [按表], [据实结算], [乙方])
= 第四条　双方的权利和义务
（一）甲方保证房屋及附属设施处于正常、安全的使用状态，并在收到报修通知后七日内予以维修。

（二）未经甲方书面同意，乙方不得将房屋转租、转借，不得擅自改变房屋结构或者用途。

（三）乙方应当爱护房屋及其设施，因使用不当造成损坏的，应当负责修复或者赔偿损失。
= 第五条　违约责任
任何一方违反本合同约定，给对方造成损失的，应当承担赔偿责任。乙方逾期支付租金超过十五日的，甲方有权解除合同，并要求乙方支付月租金百分之二十的违约金。
= 第六条　争议解决
因本合同引起的争议，由双方协商解决；协商不成的，任何一方均可向房屋所在地人民法院提起诉讼。
= 第七条　其他约定
本合同一式两份，双方各执一份，自双方签字盖章之日起生效。未尽事宜，由双方另行签订补充协议。
#v(8mm)
#set par(first-line-indent: 0pt)
#grid(columns: (1fr, 1fr), row-gutter: 7mm, [甲方（盖章）：], [乙方（签字）：], [代表人：], [身份证号码：], [日期：2026 年 7 月 20 日], [日期：2026 年 7 月 20 日])
#place(dx: 28mm, dy: -32mm, circle(radius: 17mm, stroke: 1mm + rgb(200, 30, 30, 170),
  align(center + horizon, par(leading: 4pt, text(9pt, rgb(200, 30, 30, 200))[林海文化 \ ★ \ 有限公司]))))
"""

BOOK = r"""
#set page(width: 125mm, height: 195mm, margin: (inside: 18mm, outside: 14mm, top: 20mm, bottom: 18mm),
  header: context { let n = counter(page).get().first()
    if n > 1 { set text(8.5pt); if calc.even(n) [#n #h(1fr) _Pride and Prejudice_] else [_Jane Austen_ #h(1fr) #n] } })
#set text(font: "Libertinus Serif", size: 10.5pt, lang: "en", hyphenate: true)
#set par(justify: true, first-line-indent: 1.2em)
#show heading: it => { pagebreak(weak: true); v(22mm); align(center, text(13pt, it.body)); v(6mm) }
"""


def pdf(source: str, to: Path) -> None:
    place = to.with_suffix(".typ")
    place.write_text(source, encoding="utf-8")
    typst.compile(place, output=to)
    place.unlink()


def scan(source: Path, to: Path, pages: int, dpi: int, colour: bool) -> None:
    """Pages as a scanner sees them, in JPEGs."""
    dice = numpy.random.default_rng(17)
    document = pypdfium2.PdfDocument(source)
    shown = []
    for index in range(min(pages, len(document))):
        image = document[index].render(scale=dpi / 72).to_pil().convert("RGB" if colour else "L")
        image = image.rotate(dice.normal(0, 0.5), Image.Resampling.BICUBIC, fillcolor="white")
        image = image.filter(ImageFilter.GaussianBlur(0.6))
        grey = numpy.asarray(image, dtype=numpy.float32)
        shade = numpy.linspace(0.97, 0.86, grey.shape[1], dtype=numpy.float32)
        shade = shade[None, :, None] if colour else shade[None, :]
        noisy = (20 + grey * 0.92) * shade + dice.normal(0, 6, grey.shape)
        shown.append(Image.fromarray(noisy.clip(0, 255).astype(numpy.uint8)))
    shown[0].save(to, save_all=True, append_images=shown[1:], resolution=dpi, quality=60)
    source.unlink()


def rows() -> tuple[str, str]:
    dice = numpy.random.default_rng(7)
    shops = ["Miller & Sons Bakery", "Eastmere Water Board", "Card payment, The Green Grocer", "Standing order, rent",
             "Cash withdrawal, Quay Street", "Transfer from J. Whitfield", "Northline Railways, ref. 88213",
             "Subscription, Evening Post", "Salary, Town Archive", "Chemist on the Hill"]
    cents, out = 241860, []
    for number in range(84):
        shop = shops[dice.integers(len(shops))]
        gain = shop.startswith(("Transfer", "Salary"))
        sum_ = int(dice.integers(90000, 180000) if shop.startswith("Salary") else dice.integers(250, 9000))
        cents += sum_ if gain else -sum_
        money = [f"{value / 100:,.2f}" for value in (sum_, cents)]
        day = 1 + number * 31 // 84
        cells = [f"{day:02} Jul 26", shop, "" if gain else money[0], money[0] if gain else "", money[1]]
        out.append(", ".join(f"[{cell}]" for cell in cells))
    return ", ".join(out), f"{cents / 100:,.2f}"


def book(text: str) -> str:
    # The end of a line is not the end of a paragraph, and typst's marks are letters here.
    parts = [BOOK]
    for paragraph in re.split(r"\n\s*\n", text):
        line = re.sub(r"([\\#$*_`<>@\[\]~=/+-])", r"\\\1", " ".join(paragraph.split()))
        line = re.sub(r"\\_([^_]*)\\_", r"#emph[\1]", line.replace("\\-\\-", "---"))
        parts.append(f"= {line}" if re.fullmatch(r"Chapter \d+", line) else line)
    return "\n\n".join(parts)


def main(out: Path, text: Path | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    pdf(PAPER, out / "paper.pdf")
    pdf(SLIDES, out / "slides.pdf")
    entries, closing = rows()
    pdf(STATEMENT.replace("ROWS", entries).replace("CLOSE", closing), out / "statement.pdf")
    pdf(CONTRACT, out / "drawn.pdf")
    scan(out / "drawn.pdf", out / "contract.pdf", 99, 200, True)
    if text:
        pdf(book(text.read_text(encoding="utf-8")), out / "drawn.pdf")
        scan(out / "drawn.pdf", out / "book.pdf", 300, 200, False)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
