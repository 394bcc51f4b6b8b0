"""Wrong changes to when a file counts as complete, and to which files are looked at when."""

_STABILITY, _LOOKS = "sfmc_producers.stability", "sfmc_producers.next_looks"

FILES = (
    (_STABILITY, "min(now, max(self.not_before,", "max(self.not_before, max(self.not_before,"),
    (_STABILITY, "max(self.not_before, file.changed_ns / 1e9 + self.offset)", "file.changed_ns / 1e9 + self.offset"),
    (_STABILITY, "file.changed_ns / 1e9 + self.offset))", "file.changed_ns / 1e9))"),
    (_STABILITY, "(lambda _: now) if dating is None else", "(lambda _: 0.0) if dating is None else"),
    (_STABILITY, "elif last.is_stable and last.file_stat == file_stat:", "elif last.is_stable:"),
    (_STABILITY, "elif last.file_stat != file_stat:", "elif last.file_stat.size != file_stat.size:"),
    (_STABILITY, "changed_at(file_stat), now if last.is_stable", "last.since, now if last.is_stable"),
    (_STABILITY, "now if last.is_stable else last.waiting_since\n", "now\n"),
    (_STABILITY, "last.scans + 1, last.since, last.waiting_since", "last.scans, last.since, last.waiting_since"),
    (_STABILITY, "scans >= rule.scans and now - since", "now - since"),
    (_STABILITY, "and now - since >= rule.seconds\n", "\n"),
    (_STABILITY, "left / max(1, rule.scans - seen.scans)", "left"),
    (_STABILITY, "if rule.marker is not None and seen", "if False and seen"),
    (_LOOKS, "self._heap[0][0] <= now:", "self._heap[0][0] < now:"),
    (_LOOKS, "        heapq.heapify(self._heap)\n", ""),
    (_LOOKS, "self._heap = list(looks)", "self._heap += list(looks)"),
    (_LOOKS, "max(0.0, self._heap[0][0] - now)", "self._heap[0][0] - now"),
    (_LOOKS, "return found | files | {", "return found | {"),
    (_LOOKS, "return found | files | {name + marker for name in files}", "return found | files"),
)
