// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {IFeatureRing} from "./interfaces/IFeatureRing.sol";
import {PoolOracle} from "./libraries/PoolOracle.sol";
import {TickMath} from "./libraries/TickMath.sol";
import {Epoch} from "./types/Epoch.sol";

/// @title Market data that nobody can choose
/// @notice See `IFeatureRing`.
/// @dev The ring is an array of storage slots of eight epochs each, used in turn. A slot is cleared when its turn
/// comes, so that an epoch that was never recorded reads as a gap and not as what stood there a turn ago.
contract FeatureRing is IFeatureRing {
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @dev Epochs in a slot.
    uint256 private constant PER_SLOT = 8;

    /// @dev Bits of a value.
    uint256 private constant TICK_BITS = 24;

    /// @dev Bits of a slot that hold values.
    uint256 private constant SLOT_MASK = 2 ** (PER_SLOT * TICK_BITS) - 1;

    /// @dev One in every field.
    uint256 private constant ONES = SLOT_MASK / (2 ** TICK_BITS - 1);

    /// @dev The top bit of every field.
    uint256 private constant TOP_BITS = ONES << 23;

    /// @dev Added to a tick before it is stored.
    int256 private constant TICK_OFFSET = 1 << 23;

    /// @dev Most epochs that one call examines, which bounds its gas: a call to the pool's oracle for each.
    uint64 private constant MAX_EPOCHS_PER_POKE = 32;

    /// @dev Longest epoch; also keeps all spans of time within the oracle's 32 bits.
    uint256 private constant MAX_EPOCH_SECONDS = 30 days;

    /// @dev Most slots, so that clearing all of them fits a block.
    uint256 private constant MAX_SLOTS = 256;

    /// @inheritdoc IFeatureRing
    address public immutable POOL;

    /// @inheritdoc IFeatureRing
    address public immutable PRICED_TOKEN;

    /// @inheritdoc IFeatureRing
    uint256 public immutable GENESIS;

    /// @inheritdoc IFeatureRing
    uint256 public immutable EPOCH_SECONDS;

    /// @inheritdoc IFeatureRing
    uint24 public immutable MAX_TICK_CHANGE;

    /// @notice Slots of the ring.
    uint256 public immutable SLOTS;

    bool private immutable _PRICED_IS_TOKEN0;

    mapping(uint256 slot => uint256 word) private _words;

    // The epoch after the last one recorded or found missing.
    Epoch private _recordedEnd;
    // The last record, which bounds the next.
    Epoch private _lastRecorded;
    int24 private _lastTick;
    bool private _hasRecord;
    // The pool's accumulated ticks where `_recordedEnd` starts, if they were readable: the next epoch's mean needs
    // them, and trades that fill the pool's oracle until then cannot take them away.
    bool private _hasBoundary;
    int56 private _boundary;

    /// @param pool The Uniswap v3 pool; its oracle must reach back to an epoch's end until somebody pokes.
    /// @param pricedToken The pool's token whose price is recorded.
    /// @param epochSeconds Length of an epoch (seconds).
    /// @param maxTickChange Largest change of the recorded tick from one epoch to the next.
    /// @param slots Slots of the ring, at least 2.
    constructor(
        IUniswapV3Pool pool,
        address pricedToken,
        uint256 epochSeconds,
        uint24 maxTickChange,
        uint256 slots
    ) {
        if (epochSeconds == 0 || epochSeconds > MAX_EPOCH_SECONDS) {
            revert ParameterOutOfRange("epochSeconds", epochSeconds);
        }
        if (maxTickChange == 0 || maxTickChange > TickMath.MAX_TICK) {
            revert ParameterOutOfRange("maxTickChange", maxTickChange);
        }
        if (slots < 2 || slots > MAX_SLOTS) revert ParameterOutOfRange("slots", slots);
        bool isToken0 = pricedToken == pool.token0();
        if (!isToken0 && pricedToken != pool.token1()) {
            revert ParameterOutOfRange("pricedToken", uint256(uint160(pricedToken)));
        }
        POOL = address(pool);
        PRICED_TOKEN = pricedToken;
        GENESIS = block.timestamp;
        EPOCH_SECONDS = epochSeconds;
        MAX_TICK_CHANGE = maxTickChange;
        SLOTS = slots;
        _PRICED_IS_TOKEN0 = isToken0;
        (_hasBoundary, _boundary) = _cumulativeAt(pool, block.timestamp);
    }

    /// @inheritdoc IFeatureRing
    function poke() external returns (Epoch) {
        Epoch from = _recordedEnd;
        Epoch running = currentEpoch();
        if (!(from < running)) revert NothingToRecord(startOf(from.plus(1)));

        (bool hasStart, int56 startCumulative) = (_hasBoundary, _boundary);
        if (running.index() - from.index() > MAX_EPOCHS_PER_POKE) {
            // Far behind: what the oracle still holds is most likely the newest, so the oldest are given up first.
            from = running.minus(MAX_EPOCHS_PER_POKE);
            _miss(_recordedEnd, from);
            hasStart = false;
        }
        IUniswapV3Pool pool = IUniswapV3Pool(POOL);
        if (!hasStart) (hasStart, startCumulative) = _cumulativeAt(pool, startOf(from));
        Epoch missedFrom = from;
        for (Epoch epoch = from; epoch < running; epoch = epoch.plus(1)) {
            if (epoch.index() % PER_SLOT == 0) _words[_slotOf(epoch)] = 0;
            (bool hasEnd, int56 endCumulative) = _cumulativeAt(pool, startOf(epoch.plus(1)));
            if (hasStart && hasEnd) {
                if (missedFrom < epoch) emit EpochsMissed(missedFrom, epoch);
                missedFrom = epoch.plus(1);
                int24 meanTick = PoolOracle.meanTick(startCumulative, endCumulative, EPOCH_SECONDS);
                _record(epoch, _PRICED_IS_TOKEN0 ? meanTick : -meanTick);
            }
            (hasStart, startCumulative) = (hasEnd, endCumulative);
        }
        if (missedFrom < running) emit EpochsMissed(missedFrom, running);
        _recordedEnd = running;
        (_hasBoundary, _boundary) = (hasStart, startCumulative);
        return running;
    }

    /// @inheritdoc IFeatureRing
    function window(
        Epoch end,
        uint256 count
    ) external view returns (uint256[] memory words) {
        if (count == 0 || count > end.index()) revert WindowInvalid(end, count);
        if (end > _recordedEnd) revert WindowNotRecorded(end, _recordedEnd);
        Epoch from = end.minus(count.toUint64());
        if (from < oldestEpoch()) revert WindowTooOld(from, oldestEpoch());

        words = new uint256[]((count + PER_SLOT - 1) / PER_SLOT);
        uint256 shift = TICK_BITS * (from.index() % PER_SLOT);
        uint256 slot = from.index() / PER_SLOT;
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 word = _words[(slot + i) % SLOTS] >> shift;
            if (shift != 0) {
                // The rest comes from the next slot; past the window's end it is cut off below.
                word |= (_words[(slot + i + 1) % SLOTS] << (PER_SLOT * TICK_BITS - shift)) & SLOT_MASK;
            }
            words[i] = word;
        }
        uint256 used = count % PER_SLOT;
        if (used != 0) words[words.length - 1] &= 2 ** (used * TICK_BITS) - 1;
        _requireNoGap(words, from, count);
    }

    /// @inheritdoc IFeatureRing
    function tickAt(
        Epoch epoch
    ) external view returns (int24) {
        if (!(epoch < _recordedEnd)) revert WindowNotRecorded(epoch, _recordedEnd);
        if (epoch < oldestEpoch()) revert WindowTooOld(epoch, oldestEpoch());
        uint256 stored = _fieldOf(_words[_slotOf(epoch)], epoch.index() % PER_SLOT);
        if (stored == 0) revert GapInWindow(epoch);
        return (stored.toInt256() - TICK_OFFSET).toInt24();
    }

    /// @inheritdoc IFeatureRing
    function recordedEnd() external view returns (Epoch) {
        return _recordedEnd;
    }

    /// @inheritdoc IFeatureRing
    function oldestEpoch() public view returns (Epoch) {
        uint256 end = _recordedEnd.index();
        uint256 newestSlot = end == 0 ? 0 : (end - 1) / PER_SLOT;
        if (newestSlot < SLOTS) return Epoch.wrap(0);
        return Epoch.wrap(((newestSlot + 1 - SLOTS) * PER_SLOT).toUint64());
    }

    /// @inheritdoc IFeatureRing
    function currentEpoch() public view returns (Epoch) {
        return Epoch.wrap(((block.timestamp - GENESIS) / EPOCH_SECONDS).toUint64());
    }

    /// @inheritdoc IFeatureRing
    function startOf(
        Epoch epoch
    ) public view returns (uint256) {
        return GENESIS + epoch.index() * EPOCH_SECONDS;
    }

    /// @inheritdoc IFeatureRing
    /// @dev A slot is given up as a whole, when the first of its successors is recorded.
    function HISTORY_EPOCHS() external view returns (uint256) {
        return PER_SLOT * (SLOTS - 1);
    }

    /// @dev Clears the slots that begin in `[from, to)`, of a ring's length at most.
    function _miss(
        Epoch from,
        Epoch to
    ) private {
        uint256 firstSlot = (from.index() + PER_SLOT - 1) / PER_SLOT;
        uint256 endSlot = (to.index() + PER_SLOT - 1) / PER_SLOT;
        if (endSlot - firstSlot > SLOTS) firstSlot = endSlot - SLOTS;
        for (uint256 slot = firstSlot; slot < endSlot; ++slot) {
            _words[slot % SLOTS] = 0;
        }
        emit EpochsMissed(from, to);
    }

    function _record(
        Epoch epoch,
        int24 meanTick
    ) private {
        int24 tick = _hasRecord ? _bounded(epoch, meanTick) : meanTick;
        uint256 stored = (int256(tick) + TICK_OFFSET).toUint256();
        _words[_slotOf(epoch)] |= stored << (TICK_BITS * (epoch.index() % PER_SLOT));
        _lastRecorded = epoch;
        _lastTick = tick;
        _hasRecord = true;
        emit EpochRecorded(epoch, tick, meanTick);
    }

    /// @dev Moves from the last record towards the mean by the bound for each epoch between the two. A price that
    /// really jumped is followed within a few epochs; one that was pushed for an epoch moves the record little.
    function _bounded(
        Epoch epoch,
        int24 meanTick
    ) private view returns (int24) {
        int256 reach = (uint256(MAX_TICK_CHANGE) * (epoch.index() - _lastRecorded.index())).toInt256();
        int256 change = int256(meanTick) - _lastTick;
        if (change > reach) change = reach;
        if (change < -reach) change = -reach;
        return (int256(_lastTick) + change).toInt24();
    }

    /// @dev The pool's accumulated ticks at a moment that is not in the future.
    function _cumulativeAt(
        IUniswapV3Pool pool,
        uint256 timestamp
    ) private view returns (bool readable, int56 cumulative) {
        uint32[] memory secondsAgos = new uint32[](1);
        secondsAgos[0] = (block.timestamp - timestamp).toUint32();
        int56[] memory found;
        (readable, found) = PoolOracle.tryCumulatives(pool, secondsAgos);
        if (readable) cumulative = found[0];
    }

    /// @dev A field is zero exactly where subtracting one from every field borrows into a top bit that was not set;
    /// borrows that run on from one field into the next do not change whether there is one.
    function _requireNoGap(
        uint256[] memory words,
        Epoch from,
        uint256 count
    ) private pure {
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 word = words[i];
            uint256 fields = count - i * PER_SLOT;
            // Fields past the window's end are no gaps.
            if (fields < PER_SLOT) word |= SLOT_MASK ^ (2 ** (fields * TICK_BITS) - 1);
            unchecked {
                if ((word - ONES) & ~word & TOP_BITS == 0) continue;
            }
            for (uint256 j = 0;; ++j) {
                if (_fieldOf(word, j) == 0) revert GapInWindow(from.plus((i * PER_SLOT + j).toUint64()));
            }
        }
    }

    function _fieldOf(
        uint256 word,
        uint256 position
    ) private pure returns (uint256) {
        return (word >> (TICK_BITS * position)) & (2 ** TICK_BITS - 1);
    }

    function _slotOf(
        Epoch epoch
    ) private view returns (uint256) {
        return (epoch.index() / PER_SLOT) % SLOTS;
    }
}
