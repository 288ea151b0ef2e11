"""A window around the engine: pick a picture or PDF, say what is needed, see the text; or read many into a folder.

    pip install maoocr[pillow] PySide6
    python examples/desktop_qt.py [FILE]
"""

import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from PySide6.QtCore import QObject, Qt, QThread, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QImage, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from maoocr import Cancel, Cancelled, MaoOCR, Result

FILES = "Pictures and PDFs (*.png *.jpg *.jpeg *.webp *.bmp *.gif *.tif *.tiff *.pdf);;All files (*)"
CHOICES: Dict[str, List[str]] = {
    "document_type": ["auto", "simple_text", "complex_layout"],
    "language": ["auto", "chinese", "english", "japanese", "german", "french", "spanish"],
    "accuracy_requirement": ["medium", "high", "low"],
    "speed_requirement": ["medium", "high", "low"],
}
LABELS = {
    "document_type": "Document",
    "language": "Language",
    "accuracy_requirement": "Accuracy",
    "speed_requirement": "Speed",
}


class Reader(QThread):
    """Reads files beside the window: the engine frees Python while it works."""

    line = Signal(str)
    read = Signal(object)
    failed = Signal(str)
    #: Files that are done, of how many.
    progressed = Signal(int, int)

    def __init__(
        self, ocr: MaoOCR, files: List[str], requirements: Dict[str, Any], target: Optional[str], parent: QObject
    ) -> None:
        super().__init__(parent)
        self.ocr, self.files, self.requirements, self.target = ocr, files, requirements, target
        self.cancel = Cancel()

    def run(self) -> None:
        try:
            if self.target is None:
                self.read.emit(self.ocr.recognize_with_requirements(self.files[0], self.requirements, cancel=self.cancel))
            else:
                self._batch(Path(self.target))
        except Cancelled:
            pass
        except Exception as error:
            self.failed.emit(str(error))

    def _batch(self, target: Path) -> None:
        results = self.ocr.batch(self.files, self.requirements, errors="return", cancel=self.cancel)
        for index, (file, result) in enumerate(zip(self.files, results)):
            name = Path(file).name
            if isinstance(result, Result):
                (target / f"{Path(file).stem}.md").write_bytes(result.export("md"))
                self.line.emit(f"{name}: {len(result.lines)} lines, {result.confidence:.0%}")
            else:
                self.line.emit(f"{name}: {result}")
            self.progressed.emit(index + 1, len(self.files))


class Picture(QLabel):
    """A picture as large as there is room."""

    def __init__(self) -> None:
        super().__init__("Drop a picture or PDF here")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setMinimumSize(280, 200)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setStyleSheet("border: 1px dashed palette(mid); border-radius: 6px;")
        self._whole = QPixmap()

    def show_picture(self, pixmap: QPixmap) -> None:
        self._whole = pixmap
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if not self._whole.isNull():
            aspect, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            self.setPixmap(self._whole.scaled(self.contentsRect().size(), aspect, smooth))


class Window(QMainWindow):
    """The window."""

    def __init__(self, ocr: MaoOCR) -> None:
        super().__init__()
        self.ocr = ocr
        self.file: Optional[str] = None
        self.reader: Optional[Reader] = None
        self.setWindowTitle("MaoOCR")
        self.setAcceptDrops(True)
        self.resize(1000, 680)

        self.pick = QPushButton("Open…")
        self.start = QPushButton("Read")
        self.batch = QPushButton("Read many…")
        self.stop = QPushButton("Stop")
        self.start.setDefault(True)
        self.pick.clicked.connect(self.choose)
        self.start.clicked.connect(self.read_one)
        self.batch.clicked.connect(self.read_many)
        self.stop.clicked.connect(self.cancel)

        form = QFormLayout()
        self.choices: Dict[str, QComboBox] = {}
        for name, values in CHOICES.items():
            box = QComboBox()
            box.addItems(values)
            form.addRow(LABELS[name], box)
            self.choices[name] = box

        self.picture = Picture()
        self.text = QTextEdit(readOnly=True)
        self.text.setPlaceholderText("The text appears here.")
        self.details = QLabel()
        self.details.setWordWrap(True)
        self.bar = QProgressBar()

        left, right = QVBoxLayout(), QVBoxLayout()
        buttons = QHBoxLayout()
        for button in (self.pick, self.start, self.batch, self.stop):
            buttons.addWidget(button)
        left.addWidget(self.picture, 1)
        left.addLayout(form)
        left.addLayout(buttons)
        right.addWidget(self.text, 1)
        right.addWidget(self.bar)
        right.addWidget(self.details)
        split = QSplitter()
        for layout in (left, right):
            side = QWidget()
            side.setLayout(layout)
            split.addWidget(side)
        split.setSizes([440, 560])
        self.setCentralWidget(split)
        self.busy(False)

    def requirements(self) -> Dict[str, Any]:
        return {name: box.currentText() for name, box in self.choices.items()}

    def choose(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, "Open", "", FILES)
        if file:
            self.open(file)

    def open(self, file: str) -> None:
        self.file = file
        self.text.clear()
        self.details.setText(Path(file).name)
        self.picture.show_picture(QPixmap(file))
        self.busy(False)

    def read_one(self) -> None:
        if self.file is not None:
            self.begin([self.file], None)

    def read_many(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Read many", "", FILES)
        target = QFileDialog.getExistingDirectory(self, "Folder for the texts") if files else ""
        if target:
            self.text.clear()
            self.begin(files, target)

    def begin(self, files: List[str], target: Optional[str]) -> None:
        reader = Reader(self.ocr, files, self.requirements(), target, self)
        reader.read.connect(self.show_result)
        reader.line.connect(self.text.append)
        reader.failed.connect(lambda why: self.details.setText(f"Not read: {why}"))
        reader.progressed.connect(self.progress)
        reader.finished.connect(lambda: self.busy(False))
        self.reader = reader
        self.busy(True)
        reader.start()

    def cancel(self) -> None:
        if self.reader is not None:
            self.reader.cancel.cancel()

    def progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def show_result(self, result: Result) -> None:
        self.text.setPlainText(result.text)
        self.details.setText(
            f"{len(result.lines)} lines · {result.confidence:.1%} sure · {result.processing_time:.2f} s · "
            f"{', '.join(result.selected_models) or 'text layer'}"
        )
        drawn = result.draw()
        data = drawn.tobytes()
        image = QImage(data, drawn.width, drawn.height, 3 * drawn.width, QImage.Format.Format_RGB888)
        self.picture.show_picture(QPixmap.fromImage(image))

    def busy(self, reading: bool) -> None:
        self.bar.setRange(0, 0 if reading else 1)
        self.bar.setVisible(reading)
        self.stop.setEnabled(reading)
        self.start.setEnabled(not reading and self.file is not None)
        for button in (self.pick, self.batch):
            button.setEnabled(not reading)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.open(event.mimeData().urls()[0].toLocalFile())
        self.read_one()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.cancel()
        if self.reader is not None:
            self.reader.wait()
        super().closeEvent(event)


def main() -> int:
    app = QApplication(sys.argv)
    window = Window(MaoOCR())
    window.show()
    if len(sys.argv) > 1:
        window.open(sys.argv[1])
        window.read_one()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
